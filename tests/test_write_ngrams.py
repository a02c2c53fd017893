"""What is looked for in the machines that predict n-grams is found where it is."""

import csv
import sys
from types import SimpleNamespace

import pytest
import torch
from test_notebooks import ROOT
from torch import Tensor
from torch.nn.functional import one_hot

import ntm
from ntm import pretrained
from ntm.tasks import Batch
from ntm.tasks.ngrams import contexts, optimal_prediction

sys.path.append(str(ROOT / "book" / "_tools"))
import write_ngrams as look

STEPS = 150


@pytest.fixture(scope="module")
def batch() -> Batch:
    return look.TASK.batch(torch.Generator().manual_seed(3), 4, STEPS)


def test_of_all_counts_the_best_guess_can_be_made(batch: Batch) -> None:
    bits = batch.targets[..., 0]
    n0, n1 = look.counts(bits, STEPS)
    best = optimal_prediction(bits)
    assert torch.allclose(((n1 + 0.5) / (n0 + n1 + 1))[5:].double(), best[5:])
    assert look.silent(bits, best.float(), STEPS) == pytest.approx(1, abs=0.11)
    few = sum(n.sum(dim=0) for n in look.counts(bits, 10))
    assert (few < (n0 + n1).sum(dim=0)).all()


@pytest.mark.parametrize("lag", [1, 2])
def test_a_diary_is_known_by_what_is_looked_at(batch: Batch, lag: int) -> None:
    """One writes on, a row a step, and looks at the rows of the same context alone."""
    context = contexts(batch.targets[..., 0])
    write = one_hot(torch.arange(STEPS) % 200, 200).float()
    read = torch.zeros(STEPS, 4, 200)
    for step in range(STEPS):
        for b in range(4):
            known = context[5 : step - lag + 1, b] == context[step, b]
            rows = known.nonzero().flatten() + 5 + lag
            read[step, b, rows] = 1 / max(1, len(rows))
    trace = SimpleNamespace(
        write=seen(write.unsqueeze(1).expand(-1, 4, -1)), read=seen(read)
    )
    found = look.diary(batch, trace)
    assert found.lag == lag
    assert found.blank == 0
    assert found.places[7].tolist() == [7] * 4
    there = read[100:].sum(dim=-1).mean()
    assert found.look == pytest.approx(float(there), abs=1e-5)
    read = 0.5 * read
    read[..., 3] += 0.2  # written before any context was there
    read[..., 180] += 0.1  # not written at all
    trace = SimpleNamespace(write=trace.write, read=seen(read))
    assert look.diary(batch, trace).blank == pytest.approx(0.3, abs=1e-5)
    assert look.diary(batch, trace).look == pytest.approx(float(there) / 2, abs=1e-5)


def seen(weighting: Tensor) -> SimpleNamespace:
    return SimpleNamespace(weighting=weighting.unsqueeze(2))


def test_the_shipped_machine_is_as_the_table_says() -> None:
    with (ROOT / "book" / "ngrams" / "diary.csv").open() as file:
        rows = {int(row["seed"]): row for row in csv.DictReader(file)}
    published = rows[pretrained.available()["ngrams-lstm"]["seed"]]
    with torch.no_grad():
        found = look.row(ntm.load("ngrams-lstm"), look.SETS["diary"][1])
    for name, value in found.items():
        assert value == pytest.approx(float(published[name]), abs=0.0021), name
