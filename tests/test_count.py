"""What is published of the reported seeds: all of them, counted alike, and their weights."""

import sys
from pathlib import Path

import pytest
import tiny
import torch
from test_notebooks import ROOT

from ntm import pretrained
from ntm.training.evaluation import evaluate_seeds
from ntm.training.stacked import StackedModels

sys.path.append(str(ROOT / "book" / "_tools"))
import count

KEPT = sorted(path.parent for path in count.MACHINES.glob(f"*/{count.SEEDS}"))
each_run = pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)


def test_some_seeds_are_kept() -> None:
    assert KEPT


@each_run
def test_every_seed_has_answered_as_many_vectors_at_each_size(folder: Path) -> None:
    settings, parameters = count.load(folder)
    published = pretrained.trials(folder)
    assert list(published) == [*settings.seeds] == [*range(1000, 1032)]
    assert len(parameters) == 32
    wheres = {tuple(r.where for r in rows) for rows in published.values()}
    assert len(wheres) == 1
    protocol = [(*t.size, t.memory_locations) for t in count.trials(settings)]
    assert set(*wheres) <= set(protocol)
    for rows in published.values():
        for r in rows:
            vectors = r.size["length"] * r.sequences
            assert count.VECTORS <= vectors < count.VECTORS + r.size["length"]


@each_run
def test_the_weights_are_those_that_the_table_tells_of(folder: Path) -> None:
    """The seeds with most and fewest wrong bits at 20 vectors, on fewer sequences."""
    settings, parameters = count.load(folder)
    published = pretrained.trials(folder)
    wrong = {
        row: r.wrong_bits
        for row, seed in enumerate(settings.seeds)
        for r in published[seed]
        if r.where == (20, 128)
    }
    rows = [max(wrong, key=wrong.__getitem__), min(wrong, key=wrong.__getitem__)]
    stacked, task = StackedModels(settings.make_model(0)), settings.make_task()
    worst, best = evaluate_seeds(
        stacked, parameters[rows], task, (20,), 100, count.PUBLISHED, 128
    )
    assert worst.wrong_bits > 0
    assert best.wrong_bits == 0


def test_what_is_kept_of_a_run_are_its_averaged_parameters(tmp_path: Path) -> None:
    run = tiny.finished(tmp_path / "run")
    count.keep(run.folder, tmp_path / "kept")
    settings, parameters = count.load(tmp_path / "kept")
    assert settings == run.settings
    assert torch.equal(parameters, run.training.ema)
