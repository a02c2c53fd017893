"""What is published of the reported seeds: all of them, counted alike, and their weights."""

import sys
from pathlib import Path

import pytest
import tiny
import torch
from test_notebooks import ROOT

from ntm import pretrained
from ntm.book.counts import counted, machines, reported, share, wilson
from ntm.tasks import TASKS, Copy
from ntm.training.evaluation import Trial, evaluate_seeds
from ntm.training.settings import Settings
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
    number = {"copy": 32, "n-grams": 8, "priority-sort": 8}.get(settings.task, 16)
    later = {
        "ngrams-lstm": 1024,
        "ngrams-lstm-shorter": 1008,
        "sort-feedforward": 1016,
        "sort-no-delimiter": 1008,
        "sort-baseline": 1008,
        "recall-feedforward": 1016,
        "recall-feedforward-longer": 1032,
        "recall-lstm-lean": 1032,
    }
    first = later.get(folder.name, 1000)  # as the chapters say
    assert list(published) == [*settings.seeds] == [*range(first, first + number)]
    assert len(parameters) == number
    wheres = {tuple(r.where for r in rows) for rows in published.values()}
    assert len(wheres) == 1
    task = settings.make_task()
    protocol = {
        (*t.size, t.memory_locations): count.sequences(task, t)
        for t in count.trials(settings)
    }
    assert set(*wheres) <= set(protocol)
    for rows in published.values():
        assert {r.where: r.sequences for r in rows}.items() <= protocol.items()


@pytest.mark.parametrize(
    ("name", "size", "number"),
    [
        ("copy", 1, 20_000),
        ("copy", 30, 667),  # 20,010 vectors
        ("associative-recall", 2, 6_667),  # three vectors each, however many items
        ("associative-recall", 20, 6_667),
        ("associative-recall", 50, 200),
        ("n-grams", 200, 1_000),  # bits, not vectors
        ("n-grams", 1000, 200),
    ],
)
def test_so_many_sequences_ask_for_twenty_thousand_vectors(
    name: str, size: int, number: int
) -> None:
    task, trial = TASKS[name](), Trial((size,), 128)
    assert count.sequences(task, trial) == number


def test_an_enlarged_memory_is_for_machines_that_have_one() -> None:
    machine = Settings(task="associative-recall")
    alone = Settings(task="associative-recall", model="baseline")
    near = [2, 3, 4, 5, 6, 8, 10, 12, 15, 20]
    assert count.trials(alone) == [Trial((n,)) for n in near]
    assert count.trials(machine) == [
        *(Trial((n,), 128) for n in near),
        Trial((20,), 256),
        Trial((50,), 512),
    ]


def test_what_is_repeated_is_counted_by_length_and_repeats() -> None:
    """Of ten vectors ten times a sequence asks for 101, the end marker among them."""
    task, wanted = TASKS["repeat-copy"](), count.trials(Settings(task="repeat-copy"))
    assert task.test_size in [trial.size for trial in wanted]
    assert {(10, 20), (20, 10)} <= {trial.size for trial in wanted}
    assert {trial.memory_locations for trial in wanted} == {128}
    assert count.sequences(task, Trial((10, 10), 128)) == 199


@each_run
def test_the_weights_are_those_that_the_table_tells_of(folder: Path) -> None:
    """The seeds with most and fewest wrong bits at one size, on fewer sequences."""
    settings, parameters = count.load(folder)
    published = pretrained.trials(folder)
    sizes = {"repeat-copy": (10, 5), "n-grams": (100,), "priority-sort": (20, 16)}
    size = sizes.get(settings.task, (20,))
    locations = None if settings.model == "baseline" else settings.memory_locations
    by_chance = settings.task == "n-grams"
    wrong = {
        row: r.bits if by_chance else r.wrong_bits
        for row, seed in enumerate(settings.seeds)
        for r in published[seed]
        if r.where == (*size, locations)
    }
    never_exact = by_chance or min(wrong.values()) > 0
    rows = [max(wrong, key=wrong.__getitem__), min(wrong, key=wrong.__getitem__)]
    stacked, task = StackedModels(settings.make_model(0)), settings.make_task()
    worst, best = evaluate_seeds(
        stacked, parameters[rows], task, size, 100, count.PUBLISHED, locations
    )
    if never_exact:
        assert worst.bits > best.bits
    else:
        assert worst.wrong_bits > best.wrong_bits == 0


def test_what_is_kept_of_a_run_are_its_averaged_parameters(tmp_path: Path) -> None:
    run = tiny.finished(tmp_path / "run")
    count.keep(run.folder, tmp_path / "kept")
    settings, parameters = count.load(tmp_path / "kept")
    assert settings == run.settings
    assert torch.equal(parameters, run.training.ema)


def test_a_share_has_the_interval_of_the_protocol() -> None:
    assert [round(100 * end) for end in wilson(32, 32)] == [89, 100]
    assert [round(100 * end) for end in wilson(20, 20)] == [84, 100]
    assert share(27, 32) == "27 of 32 (68–93 %)"


@pytest.mark.parametrize(("count", "of"), [(0, 7), (3, 7), (29, 32), (1, 1000)])
def test_an_end_of_the_interval_is_a_share_at_which_the_count_just_surprises(
    count: int, of: int
) -> None:
    for end in wilson(count, of):
        away = abs(count / of - end)
        if away > 0:
            assert away == pytest.approx(1.959964 * (end * (1 - end) / of) ** 0.5)


def test_no_reported_seeds_are_none(tmp_path: Path) -> None:
    assert reported(tmp_path) is None
    found = reported(count.MACHINES / "copy-feedforward")
    assert found is not None
    assert all(len(rows) == 32 for rows in found.rows.values())
    assert list(found.rows) == sorted(found.rows)


@each_run
def test_every_seed_is_a_machine_again(folder: Path) -> None:
    settings, parameters = count.load(folder)
    found = machines(folder)
    assert list(found) == [*settings.seeds]
    stacked = StackedModels(settings.make_model(0))
    assert torch.equal(stacked.stack(list(found.values())), parameters)


def test_the_counted_sequences_are_those_that_were_counted() -> None:
    folder = count.MACHINES / "copy-feedforward"
    settings, task = count.load(folder)[0], Copy()
    shown = []

    class Listening(StackedModels):
        def __call__(self, parameters, inputs, **settings):
            shown.append(inputs[:, 0])
            return torch.zeros(*inputs.shape[:-1], 8)

    listening = Listening(settings.make_model(0))
    eight = torch.zeros(8, listening.size)
    evaluate_seeds(listening, eight, task, (120,), 167, count.PUBLISHED, 128)
    assert torch.equal(
        counted(task, 120, 128, 167).inputs, torch.cat(shown, 1)[:, :167]
    )
