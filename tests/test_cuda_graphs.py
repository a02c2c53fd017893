"""CUDA graphs: what a GPU replays is what it would do, and that is what a CPU does.

Where there is no GPU, a graph is a function that is called: the rest is tested so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ntm.fast import bench, cuda_graphs
from ntm.runs import files
from ntm.runs.run import Run
from ntm.tasks import Copy
from ntm.tasks.base import Batch
from ntm.training import evaluation
from ntm.training.evaluation import evaluate_seeds
from ntm.training.settings import Settings
from ntm.training.stacked import side_by_side, stacked_models
from ntm.training.trainer import Trainer

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ON_GPU = pytest.mark.skipif(DEVICE.type == "cpu", reason="needs a GPU")


class Called:
    """Stands in for a graph: overwrites what it has given, as a graph does."""

    made: int = 0

    def __init__(
        self, function: Callable[..., Any], tensors: Sequence[Tensor], *_: Any
    ):
        type(self).made += 1
        self.function = function
        self.shapes = [tensor.shape for tensor in tensors]
        self.last = [tensor.clone() for tensor in function(*tensors)]

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        assert [tensor.shape for tensor in tensors] == self.shapes
        for last, new in zip(self.last, self.function(*tensors), strict=True):
            last.copy_(new)
        return self.last


@pytest.fixture(autouse=True)
def graph(monkeypatch: pytest.MonkeyPatch) -> type:
    if DEVICE.type == "cuda":
        return cuda_graphs.Replayed
    kind = type("Graph", (Called,), {})
    monkeypatch.setattr(cuda_graphs, "Replayed", kind)
    return kind


def settings(**others: Any) -> Settings:
    usual = {"controller_size": 12, "memory_locations": 8, "memory_width": 5}
    more = {"seeds": (0, 1, 2), "batch_size": 2, "evaluate_every": 4, "sequences": 40}
    return Settings(**(usual | more | {"task_options": {"longest": 6}} | others))


def trainer(replays: bool, compiled: bool = False, **others: Any) -> Trainer:
    made = Trainer(settings(**others), DEVICE, compiled)
    made.replays = replays
    made._pool = None
    return made


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=ON_GPU)])
def test_gradients_from_graphs_are_those_without(
    controller: str, compiled: bool
) -> None:
    plain = trainer(False, controller=controller)
    replays = trainer(True, compiled, controller=controller)
    for _ in range(6):
        batches = plain.next_batches()
        expected = plain.gradients(batches)
        torch.testing.assert_close(replays.gradients(batches), expected)
        assert expected.abs().max() > 1e-4


def test_a_shape_has_one_graph_for_each_condition() -> None:
    made = trainer(True, training_locations=(4, 8), training_strengths=(0.5, 1.0))
    while not made.finished:
        made.update()
    # Lengths up to 2 in 4 locations and up to 6 in 8 are 9 and 17 steps at most.
    assert 4 <= len(made._graphs) <= 6
    steps = {shapes[0][0] for shapes in made._graphs}
    assert steps <= {9, 17}


def test_steps_are_a_multiple_and_one_more() -> None:
    for length, steps in ((1, 9), (4, 9), (5, 17), (8, 17), (9, 25)):
        batch = Copy().batch(torch.Generator(), 2, length)
        whole = side_by_side([batch], torch.device("cpu"), 8)
        assert {len(part) for part in whole} == {steps}
        assert not any(part[2 * length + 1 :].any() for part in whole)
        exact = side_by_side([batch], torch.device("cpu"))
        for part, padded in zip(exact, whole, strict=True):
            assert torch.equal(part, padded[: 2 * length + 1])


@pytest.mark.parametrize("fast", [False, True])
def test_a_sequence_in_pieces_is_the_sequence(
    graph: Any, fast: bool, request: pytest.FixtureRequest
) -> None:
    if DEVICE.type == "cpu":  # the pieces are what is tested, not the compiler
        request.getfixturevalue("compiled")
    chosen = settings()
    models = [chosen.make_model(seed).to(DEVICE) for seed in chosen.seeds]
    stacked = stacked_models(models[0], fast)
    parameters = stacked.stack(models)
    batch = Copy(longest=6).batch(torch.Generator(), 2, 40)
    inputs = side_by_side([batch] * 3, DEVICE).inputs
    with torch.no_grad():
        whole = stacked(parameters, inputs, memory_locations=9)
    pieces = cuda_graphs.in_pieces(stacked, parameters, inputs, memory_locations=9)
    torch.testing.assert_close(pieces, whole)
    assert not torch.equal(whole[0], whole[-1])
    if DEVICE.type == "cpu":
        assert graph.made == 1  # for the two whole pieces of 81 steps


def test_larger_batches_hold_the_same_sequences() -> None:
    batches = [
        *evaluation.fresh(Copy(), (3,), 100, seed=5, locations=2**17 // 10),
    ]
    assert [b.inputs.shape[1] for b in batches] == [10] * 10
    joined = [*evaluation._joined(iter(batches), 34)]
    assert [b.inputs.shape[1] for b in joined] == [30, 30, 30, 10]
    for name in Batch._fields:
        one, other = (
            torch.cat([getattr(b, name) for b in many], dim=1)
            for many in (batches, joined)
        )
        assert torch.equal(one, other)
    assert len([*evaluation._joined(iter(batches), 1)]) == 10


@ON_GPU
def test_a_gpu_counts_what_a_cpu_counts() -> None:
    chosen = settings()
    models = [chosen.make_model(seed) for seed in chosen.seeds]
    stacked = stacked_models(models[0], compiled=False)
    parameters = stacked.stack(models)
    on_gpu = stacked_models(chosen.make_model(0).to(DEVICE), compiled=False)
    for length, locations in ((3, 8), (40, 64)):
        one, other = (
            evaluate_seeds(s, p, Copy(), (length,), 50, 1, locations)
            for s, p in ((stacked, parameters), (on_gpu, parameters.to(DEVICE)))
        )
        for a, b in zip(one, other, strict=True):
            assert abs(a.wrong_bits - b.wrong_bits) <= 2  # of thousands, near a half
            assert a.bits == pytest.approx(b.bits, rel=1e-4)


@ON_GPU
def test_gpu_and_cpu_learn_alike() -> None:
    one, other = Trainer(settings(), "cpu", False), Trainer(settings(), DEVICE, False)
    for _ in range(5):
        one.update()
        other.update()
    torch.testing.assert_close(
        other.parameters.cpu(), one.parameters, rtol=1e-3, atol=1e-4
    )
    for a, b in zip(one.evaluate(), other.evaluate(), strict=True):
        assert a.bits == pytest.approx(b.bits, rel=1e-3)


@ON_GPU
def test_a_run_on_a_gpu_goes_on_on_a_cpu(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", settings(), DEVICE, compiled=False)
    rows = [row for new in run for row in new]
    assert len(rows) == 3 * 10
    card = files.read_json(run.folder / files.CARD)
    assert card["device"] == torch.cuda.get_device_name(DEVICE)
    again = Run.resume(run.folder, "cpu", compiled=False)
    assert again.training.finished
    assert torch.equal(again.training.ema, run.training.ema.cpu())
    later = Run.start(tmp_path / "later", settings(), DEVICE, False, run.folder)
    assert torch.equal(later.training.parameters, run.training.ema)


@ON_GPU
def test_the_bench_has_all_variants() -> None:
    for variant in ("eager", "CUDA graph, eager", "CUDA graph, bfloat16"):
        row = bench.measured(bench.Case(variant, 2, 1), DEVICE, 0.1)
        assert row.sequences_per_second > 0
        assert row.peak_bytes > 0
