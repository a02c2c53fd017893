"""What is looked up in the machines that sort, by sequences made by hand."""

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

sys.path.append(str(ROOT / "book" / "_tools"))
import write_sort as look

TASKS = {name: task for name, (_, task) in look.SETS.items()}
SHOWN, DUE = TASKS["program"].test_size


@pytest.fixture(scope="module")
def batch() -> Batch:
    return TASKS["no-delimiter"].batch(torch.Generator().manual_seed(3), 4, SHOWN, DUE)


def film(rows: Tensor) -> SimpleNamespace:
    """The weightings of one head that is on these rows, ``(T, B)``."""
    return SimpleNamespace(weighting=one_hot(rows, 64).float().unsqueeze(2))


@pytest.mark.parametrize("name", TASKS)
def test_who_looks_ahead_and_erases_what_was_read_is_seen_to(name: str) -> None:
    """The vector of step t lies in row 40 − t; looks begin a step before the answer."""
    task = TASKS[name]
    batch = task.batch(torch.Generator().manual_seed(3), 4, SHOWN, DUE)
    order = look.ranks(batch, task)
    highest = batch.inputs[:SHOWN, :, 8].amax(dim=0)
    assert (batch.inputs[order[0], range(4), 8] == highest).all()
    steps = torch.arange(SHOWN + task.delimiter).unsqueeze(-1).expand(-1, 4)
    due = 40 - order[:DUE]
    write = film(torch.cat([40 - steps, due]))
    read = film(torch.cat([40 - steps[:-1], due, due[:1]]))
    seen = look.looks(batch, SimpleNamespace(write=write, read=read), task)
    assert torch.equal(seen.written, 40 - order)
    assert torch.equal(seen.read, due)
    assert torch.equal(seen.erased, due)


def test_a_row_is_put_into_each_memory_and_nothing_else_changes() -> None:
    state = ntm.load("copy-feedforward").initial_state(2, 5)
    changed = look.with_row(state, torch.tensor([1, 4]), torch.ones(2, 20))
    differs = (changed.memory != state.memory).any(dim=-1)
    assert differs.tolist() == [
        [False, True, False, False, False],
        [*[False] * 4, True],
    ]


def test_a_machine_is_told_otherwise_for_one_answer(batch: Batch) -> None:
    """The hook is gone afterwards."""
    model = ntm.load("copy-feedforward")
    _, before = model(batch.inputs[:SHOWN], model.initial_state(4, 64))
    rest = batch.inputs[SHOWN:]
    outputs, after = model(rest, before)
    quiet = look.told(model, rest, before, look.silent)
    assert not torch.equal(quiet, outputs)
    assert not torch.equal(after.memory, before.memory)
    assert torch.equal(look.told(model, rest, before, lambda orders: orders), outputs)
    assert torch.equal(model(rest, before)[0], outputs)


def test_a_sharper_look_has_twice_the_strength_and_else_is_the_same() -> None:
    with torch.no_grad():
        orders = ntm.load("copy-feedforward").heads(torch.randn(1, 3, 100))
    changed = look.sharper(orders)
    assert torch.equal(changed.read.strength, 2 * orders.read.strength)
    assert changed.write is orders.write
    assert changed.change is orders.change
    assert changed.read.key is orders.read.key
    quiet = look.silent(orders)
    assert not quiet.change.erase_vector.any()
    assert not quiet.change.add_vector.any()
    assert quiet.read is orders.read


def test_bits_that_differ_are_counted_by_sequence() -> None:
    due = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]]).expand(2, 3, 2)
    assert look.differ(torch.full((2, 3, 2), -1.0), due) == 1
    assert look.differ(torch.full((2, 3, 2), 1.0), due) == 3


def test_a_machine_that_sorts_is_told_from_one_that_copies() -> None:
    """The shipped one is as published; the other reads along and finds nothing."""
    with (look.BOOK / "sort" / "program.csv").open() as file:
        rows = {int(row["seed"]): row for row in csv.DictReader(file)}
    published = rows[pretrained.available()["sort-feedforward"]["seed"]]
    with torch.no_grad():
        found = look.row(ntm.load("sort-feedforward"), TASKS["program"])
        other = look.row(ntm.load("copy-feedforward"), TASKS["no-delimiter"])
    for name, number in found.items():
        assert float(number) == pytest.approx(
            float(published[name]), abs=0.02, rel=0.02
        )
    assert other["finds"] < 0.2 < 0.8 < found["finds"]
    assert other["on"] > 0.95


def test_what_makes_a_head_walk_is_found_in_the_cards_of_its_stages() -> None:
    plain = {"task": "priority-sort", "settings": {"forward_bias": 0.0}}
    leaning = {"task": "priority-sort", "settings": {"forward_bias": 3.0}}
    copied = {"task": "copy", "settings": {"task": "copy", "forward_bias": 0.0}}
    assert look.walks_by(plain) == "nothing"
    assert look.walks_by(leaning) == "a lean"
    assert look.walks_by(plain | {"first": copied}) == "copying first"
    assert look.walks_by(plain | {"first": plain | {"first": leaning}}) == "a lean"
