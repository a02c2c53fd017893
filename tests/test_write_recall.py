"""What is looked up in the machines that recall."""

import csv
import sys
from pathlib import Path

import pytest
import tiny
import torch
from test_notebooks import ROOT
from tiny import finished

import ntm
from ntm import pretrained
from ntm.runs.run import Run
from ntm.training.settings import Settings

sys.path.append(str(ROOT / "book" / "_tools"))
import write_recall as look


@pytest.mark.parametrize("items", [2, 3, 6])
def test_items_and_what_is_asked_for_are_cut_out_of_the_sequences(items: int) -> None:
    """The one that is asked for is shown again, and the one after it is the answer."""
    batch, shown, asked = look.drawn(1, 5, items)
    assert shown.shape == (items, 3, 5, 6)
    for b, which in enumerate(asked.tolist()):
        query = batch.inputs[-7:-4, b, :6]
        assert torch.equal(shown[which, :, b], query)
        assert torch.equal(shown[which + 1, :, b], batch.targets[-3:, b])
    assert torch.equal(shown[1, 2], batch.inputs[7, :, :6])


def test_the_machine_in_the_middle_does_what_is_published() -> None:
    card = pretrained.available()["recall-lstm"]
    with (look.BOOK / "recall" / "program.csv").open() as file:
        (published,) = (
            row
            for row in csv.DictReader(file)
            if (row["set"], row["seed"]) == ("lstm", str(card["seed"]))
        )
    with torch.no_grad():
        found = look.program(ntm.load("recall-lstm"))
    assert found.pop("moves") == int(published["moves"])
    for name, number in found.items():
        assert abs(int(published[name]) - number) <= 2, name  # rounding may decide one


def test_a_machine_that_has_learned_nothing_answers_nothing() -> None:
    settings = Settings.from_json(pretrained.available()["recall-lstm"]["settings"])
    with torch.no_grad():
        found = look.program(settings.make_model(0))
    assert [found[name] for name in (*look.SHUT, "says_other")] == [0] * 5


def test_what_runs_cost_in_the_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fewest in (2, 3):
        finished(
            tmp_path / str(fewest),
            task="associative-recall",
            task_options={"fewest_items": fewest, "most_items": 3, "bits": 2},
            controller="feedforward",
            memory_locations=20,
            forward_bias=float(fewest),
            seeds=(4, 5),
        )
    monkeypatch.setattr("table.BOOK", tmp_path)
    runs = [str(tmp_path / "2"), str(tmp_path / "3")]
    monkeypatch.setattr(sys, "argv", ["write_recall.py", "--fewest", *runs])
    look.main()
    with (tmp_path / "recall" / "fewest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [list(row.values())[:8] for row in rows] == [
        ["feedforward", "1", fewest, "3", f"{fewest}.0", "0.0", seed, "24"]
        for fewest in "23"
        for seed in "45"
    ]
    assert all(0 < float(row["bits"]) < 12 for row in rows)


def test_what_comes_of_a_beginning_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {
        "task": "associative-recall",
        "controller": "feedforward",
        "memory_locations": 20,
        "seeds": (4, 5),
    }
    few = {"fewest_items": 2, "most_items": 3}
    options = few | {"item_length": 2}
    first = finished(tmp_path / "1", **short, task_options=options)
    then = tiny.short(**short, task_options=few, sequences=16)
    for _ in Run.start(tmp_path / "2", then, compiled=False, init_from=tmp_path / "1"):
        pass
    monkeypatch.setattr("table.BOOK", tmp_path)
    monkeypatch.setattr(look, "AFTER", 8)
    argv = ["write_recall.py", "--shorter", str(tmp_path / "2")]
    monkeypatch.setattr(sys, "argv", argv)
    look.main()
    with (tmp_path / "recall" / "shorter.csv").open() as file:
        rows = list(csv.DictReader(file))
    for seed, row in zip("45", rows, strict=True):
        (end,) = (e for e in first.curve if (e.seed, e.sequences) == (int(seed), 24))
        *told, before, sequences, bits, vectors = row.values()
        assert told == ["feedforward", "2", "24", seed]
        assert float(before) == pytest.approx(end.bits, rel=1e-5)
        assert sequences == "8"
        assert 10 < float(bits) < 36  # 18 are a guess
        assert all(0 < float(wrong) < 6 for wrong in vectors.split())
        assert len(vectors.split()) == 3


def test_what_is_missed_is_told_vector_by_vector() -> None:
    """A machine that says the right bits of the second and zeros else misses no second."""
    batch, _, _ = look.drawn(7, 600, 6)

    class Knows:
        def initial_state(self, sequences: int, locations: int) -> None:
            return None

        def __call__(
            self, inputs: torch.Tensor, state: None
        ) -> tuple[torch.Tensor, None]:
            said = batch.targets - 0.5
            said[-3] = -1
            said[-1, :, 0] *= -1
            return said, None

    first, second, third = look.missed(Knows())  # type: ignore[arg-type]
    assert (second, third) == (0, 1)
    assert first == pytest.approx(batch.targets[-3].sum(-1).mean().item(), abs=0.06)


def test_where_a_head_stands_is_told_by_the_places_of_rows_in_their_items() -> None:
    """Two items, in rows 7 to 0; row 3 is written again, at the end."""
    written = torch.tensor([[7, 6, 5, 4, 3, 2, 1, 3]]).T
    spread = torch.zeros(1, 10)
    spread[0, [6, 2, 3, 9]] = torch.tensor([0.2, 0.3, 0.4, 0.1])
    assert look.standing(spread, written) == (0.5, 0.4)  # rows 6 and 2: second places
    lost = torch.eye(10)[[9]]
    assert look.standing(lost, written) == (0.0, 1.0)  # nothing was written there
    both = torch.cat([spread, lost]), torch.cat([written, written], dim=1)
    assert look.standing(*both) == (0.25, 0.7)


@pytest.mark.parametrize(
    ("controller", "seed"),
    [("lstm", 1011), ("feedforward", 1025), ("feedforward", 1030)],
    ids=["spread", "abreast", "waits"],
)
def test_a_machine_starts_as_is_published(controller: str, seed: int) -> None:
    with (look.BOOK / "recall" / "starts.csv").open() as file:
        (published,) = (
            row
            for row in csv.DictReader(file)
            if (row["controller"], row["seed"]) == (controller, str(seed))
        )
    kept = dict(look.machines(look.BOOK / "machines" / f"recall-{controller}"))
    with torch.no_grad():
        found = look.starts(kept[seed])  # type: ignore[arg-type]
    for name in ("exact", "first", "vectors", "last"):
        assert abs(int(published[name]) - found[name]) <= 2, name
    for name in ("one_place", "one_row"):
        assert float(published[name]) == pytest.approx(found[name], abs=0.011)
