"""What is counted of repeat copy, stage by stage."""

import csv
import io
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from test_notebooks import ROOT
from tiny import finished

from ntm.runs.run import Run
from ntm.tasks import RepeatCopy

sys.path.append(str(ROOT / "book" / "_tools"))
import write_repeat as look


def test_markers_are_judged_apart_from_the_bits() -> None:
    """Of six answers, by hand: what is wrong with each stands beside it."""
    batch = RepeatCopy(bits=2).batch(torch.Generator().manual_seed(1), 6, 3, 2)
    logits = batch.targets - 0.5
    logits[:4] += 9  # before the answer nothing counts
    logits[4, 1, 0] *= -1  # a bit
    logits[-1, 2, -1] *= -1  # the marker is missing
    logits[6, 3, -1] *= -1  # a marker in the middle
    logits[-2:, 4, -1] *= -1  # a step early: one too many, and one missing
    logits[5, 5, 1] *= -1
    logits[7, 5, -1] *= -1  # a bit and a marker
    exact, marker, wrong = look.judged(logits, batch).tolist()
    assert exact == [1, 0, 0, 0, 0, 0]
    assert marker == [1, 1, 0, 0, 0, 0]
    assert wrong == [0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "model", [{"model": "ntm"}, {"model": "baseline", "baseline_size": 6}], ids=str
)
def test_every_stage_seed_and_size_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]
) -> None:
    """More sequences are drawn than asked for; only those asked for are counted."""
    options = {"task": "repeat-copy", "task_options": {"longest": 3, "most_repeats": 2}}
    first, second = (
        finished(tmp_path / name, sequences=sequences, seeds=(5, 7), **options, **model)
        for name, sequences in (("a", 8), ("b", 4))
    )
    monkeypatch.setattr(look, "SIZES", [(2, 1), (3, 2)])
    monkeypatch.setattr(look, "SEQUENCES", 52)
    monkeypatch.setattr(look, "LOCATIONS", 6)
    eager = partial(look.stacked_models, compiled=False)  # tiny: the compiler is slower
    monkeypatch.setattr(look, "stacked_models", eager)
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    look.main([tmp_path / "a", tmp_path / "b"])
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    where = [[row[k] for k in ("stage", "seen", "seed", "length")] for row in rows]
    assert where == [
        [stage, seen, seed, length]
        for stage, seen in (("1", "8"), ("2", "12"))
        for length in ("2", "3")
        for seed in ("5", "7")
    ]
    assert {row["sequences"] for row in rows} == {"52"}
    counted = [(row["exact"], row["marker_right"], row["wrong_bits"]) for row in rows]
    assert counted == [
        plainly(run, index, size)
        for run in (first, second)
        for size in ((2, 1), (3, 2))
        for index in (0, 1)
    ]
    assert len(set(counted)) > 3  # they are not all alike


def plainly(run: Run, index: int, size: tuple[int, int]) -> tuple[str, str, str]:
    """One seed and one sequence at a time, bit by bit."""
    training = run.training
    model = training.settings.make_model(0)
    torch.nn.utils.vector_to_parameters(training.ema[index], model.parameters())
    room = () if training.settings.model == "baseline" else (6,)
    exact = right = wrong = 0
    length, repeats = size
    batches = list(look.fresh(training.task, size, 52, look.SEED, 8 * 6))
    inputs = torch.cat([one.inputs for one in batches], dim=1)[:, :52]
    targets = torch.cat([one.targets for one in batches], dim=1)[:, :52]
    for k in range(52):
        with torch.no_grad():
            logits, _ = model(inputs[:, k : k + 1], model.initial_state(1, *room))
        said = (logits[length + 1 :, 0] > 0).float()
        due = targets[length + 1 :, k]
        assert len(due) == length * repeats + 1
        bits = int((said != due).sum())
        wrong += bits
        exact += bits == 0
        right += torch.equal(said[:, -1], due[:, -1])
    return str(exact), str(right), str(wrong)
