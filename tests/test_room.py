"""Memory: what a seed takes is known before it is taken, and too many are refused in one line."""

import math
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ntm.cli import main
from ntm.fast.bench import peak
from ntm.runs import room
from ntm.runs.processes import Worker
from ntm.runs.room import COMPILED, RoomError, needed
from ntm.runs.run import CHECKPOINT, Run
from ntm.training.trainer import Trainer


def kept(settings: Any, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> float:
    """The bytes that an update of the largest size keeps for the gradient, a seed."""
    storages: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    training = Trainer(settings, compiled=compiled)
    largest = training.task.test_size
    monkeypatch.setattr(type(training.task), "draw_size", lambda *_: largest)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        training.update()
    total = sum(tensor.untyped_storage().nbytes() for tensor in storages.values())
    return total / len(settings.seeds)


def parameters(settings: Any) -> int:
    return sum(p.numel() for p in settings.make_model(0).parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"controller": "feedforward", "heads": 2, "batch_size": 4},
        {"memory_locations": 90, "training_locations": 9},
        {"model": "baseline", "baseline_size": 20},
    ],
    ids=str,
)
def test_what_a_seed_needs_is_what_an_update_keeps_and_its_numbers(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.settings(**changes | {"evaluation_sequences": 1})
    measured = kept(settings, False, monkeypatch) + 24 * parameters(settings)
    assert needed(settings, compiled=False) == pytest.approx(measured, rel=0.05)


def test_the_compiler_keeps_at_least_the_share_that_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two heads of a feed-forward machine keep the smallest share of all."""
    settings = tiny.settings(
        evaluation_sequences=1, controller="feedforward", num_heads=2
    )
    eager = kept(settings, False, monkeypatch)
    training = Trainer(settings, compiled=True)
    batch, numbers = training.next_batch(), training.parameters.clone().requires_grad_()
    work = lambda: training.gradient(numbers, batch)  # noqa: E731
    work()
    compiled = peak(work, torch.device("cpu")) / len(settings.seeds)
    assert COMPILED * eager < compiled < eager
    assert needed(settings) < compiled + 24 * parameters(settings)


def test_an_evaluation_of_many_sequences_counts() -> None:
    """Two memories of 30 x 4 numbers for each, and what else a state holds."""
    few, many = (
        needed(tiny.settings(evaluation_sequences=n)) for n in (10_000, 20_000)
    )
    assert 8 * 30 * 4 < (many - few) / 10_000 < 5 * 8 * 30 * 4


# What is free.


def test_what_is_free_is_what_linux_says(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:     3 kB\n")
    assert room._available(tmp_path / "meminfo") == 3072
    for text in ("", "MemAvailable: much\n", "MemTotal: 9 kB\n"):
        (tmp_path / "meminfo").write_text(text)
        assert room._available(tmp_path / "meminfo") == math.inf
    assert room._available(tmp_path / "none") == math.inf


def test_a_container_has_what_is_left_of_its_limit(tmp_path: Path) -> None:
    assert room._allowed(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert room._allowed(tmp_path) == 450
    (tmp_path / "memory.max").write_text("max\n")
    assert room._allowed(tmp_path) == math.inf


def test_here_something_is_free() -> None:
    assert room.free(torch.device("cpu")) > 1e8


# Too many.


def free(monkeypatch: pytest.MonkeyPatch, amount: float) -> None:
    monkeypatch.setattr(room, "free", lambda device: amount)


def test_as_many_as_fit_are_accepted_and_one_more_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = needed(tiny.settings(), compiled=False)
    free(monkeypatch, 7.5 * need)
    room.require(tiny.settings(seeds=tuple(range(7))), compiled=False)
    with pytest.raises(RoomError, match=r"^seeds: got 8, needs at most about 7 to fit"):
        room.require(tiny.settings(seeds=tuple(range(8))), compiled=False)


def test_workers_of_one_machine_share_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free(monkeypatch, 7.5 * needed(tiny.settings()))
    eight, two = tiny.settings(seeds=tuple(range(8))), Worker(0, 4, 0, 2)
    with pytest.raises(RoomError, match="got 8, needs at most about 6 to fit"):
        room.require(eight, worker=Worker(0, 2, 0, 2))
    room.require(eight, worker=two)  # two each, on two machines


def test_too_many_seeds_are_refused_in_one_line_and_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    free(monkeypatch, 1.04e9)
    train = ["train", "copy", "--seeds", "5000", "--out", str(tmp_path / "x")]
    assert main(train) == 1
    said = capsys.readouterr().err
    fit = int(1.04e9 / needed(tiny.Settings()))
    assert 50 < fit < 2000
    assert said.startswith(
        f"ntm: seeds: got 5000, needs at most about {fit} to fit the 1.0 GB that are "
    )
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()


SHORTAGES = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "cpu": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you ..."),
}


@pytest.mark.parametrize("what", SHORTAGES)
@pytest.mark.parametrize("evaluations", [0, 1])
def test_when_memory_runs_out_in_training_fewer_are_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, evaluations: int
) -> None:
    run = Run.start(tmp_path / "x", tiny.settings(), compiled=False)
    rows = iter(run)
    for _ in range(evaluations):
        next(rows)

    def update() -> None:
        raise SHORTAGES[what]()

    with monkeypatch.context() as patch:
        patch.setattr(run.training, "update", update)
        with pytest.raises(RoomError, match=r"^seeds: got 3, needs at most about 2 to"):
            next(rows)
    # Without a checkpoint nothing is worth keeping; with one, nothing is lost.
    assert (tmp_path / "x" / CHECKPOINT).exists() == bool(evaluations)
    assert (tmp_path / "x").exists() == bool(evaluations)
    if evaluations:
        assert len(list(Run.resume(tmp_path / "x", compiled=False))) == 5


def test_what_the_allocator_really_says_is_understood() -> None:
    with (
        pytest.raises(RoomError, match="got 3, needs at most about 2 "),
        room.enough(tiny.settings()),
    ):
        torch.empty(2**58)


def test_other_errors_are_left_alone() -> None:
    with (
        pytest.raises(RuntimeError, match="shape") as caught,
        room.enough(tiny.settings()),
    ):
        torch.zeros(2).view(3)
    assert not isinstance(caught.value, RoomError)
