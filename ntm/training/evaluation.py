"""How well a trained machine does, at any length and with any memory."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ntm._checks import require_whole
from ntm.baseline import Baseline
from ntm.tasks import Task, wrong_bits
from ntm.training.stacked import StackedModels

SIDE_BY_SIDE = 100
"""Sequences of one pass: few enough that the memory of all of them stays small."""

LONG = 2**24
"""Steps × sequences × locations from which on it pays to compile: ten seconds without,
half of that for the compiler."""


class Result(NamedTuple):
    """What came out at one length.

    wrong_bits: in all sequences together · exact: sequences without a wrong bit ·
    memory_locations: None for a model without a memory.
    """

    length: int
    memory_locations: int | None
    sequences: int
    wrong_bits: int
    exact: int


@torch.no_grad()
def evaluate(
    model: nn.Module,
    task: Task,
    length: int,
    sequences: int = 100,
    seed: int = 0,
    memory_locations: int | None = None,
    fast: StackedModels | None = None,
) -> Result:
    """Return how a model does on random sequences of one length.

    Args:
        model: an `NTM` or a `Baseline`.
        task: where the sequences come from.
        length: any, not only those of training.
        sequences: how many.
        seed: of the sequences: the same seed and length, the same sequences.
        memory_locations: N; the model's own unless said otherwise.
        fast: a compiled population of the same structure, whose steps run the model:
            the same logits up to rounding.  None: the model runs by itself.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Longer than ever seen*.
    """
    require_whole(1, length=length, sequences=sequences)
    require_whole(0, seed=seed)
    settings: dict[str, Any] = {}
    if fast and fast.shapes != {n: p.shape for n, p in model.named_parameters()}:
        raise ValueError("fast: got a population of another structure than the model's")
    if not isinstance(model, Baseline):
        settings["memory_locations"] = memory_locations or model.memory_locations
        require_whole(1, **settings)
    elif memory_locations is not None:
        raise ValueError(
            f"memory_locations: got {memory_locations}, needs None: the baseline has "
            "no memory"
        )
    parameter = next(model.parameters())
    stream = torch.Generator().manual_seed(seed)
    wrong: list[int] = []
    while len(wrong) < sequences:
        count = min(SIDE_BY_SIDE, sequences - len(wrong))
        batch = task.batch(stream, count, length)
        inputs = batch.inputs.to(parameter.device, parameter.dtype)
        logits = _outputs(model, fast, inputs, settings)
        wrong += wrong_bits(logits.float().cpu(), batch).tolist()
    return Result(
        length=length,
        memory_locations=settings.get("memory_locations"),
        sequences=sequences,
        wrong_bits=sum(wrong),
        exact=wrong.count(0),
    )


def _outputs(
    model: nn.Module,
    fast: StackedModels | None,
    inputs: Tensor,
    settings: dict[str, Any],
) -> Tensor:
    """Return the logits of a batch, ``(time, batch, output_size)``, from the start on.

    Args:
        model: as `evaluate` has it.
        fast: the same.
        inputs: ``(time, batch, input_size)``.
        settings: of the model's ``initial_state``.
    """
    if fast is not None:
        parameters = fast.stack([model])
        return fast(parameters, inputs.unsqueeze(1), **settings).squeeze(1)
    begin: Callable[..., Any] = model.initial_state  # type: ignore[assignment]
    logits: Tensor = model(inputs, begin(inputs.shape[1], **settings))[0]
    return logits


def worth_compiling(
    model: nn.Module,
    trials: Sequence[tuple[int, int | None]],
    sequences: int,
    models: int = 1,
) -> bool:
    """Return whether these trials take longer than the compiler does.

    Args:
        model: an `NTM`, or a `Baseline`, for which it never pays.
        trials: pairs of a length and a number of memory locations, None for the
            model's own.
        sequences: how many at each length.
        models: how many of this kind are tried.
    """
    if isinstance(model, Baseline):
        return False
    own: Any = model.memory_locations
    work = sum(2 * length * (locations or own) for length, locations in trials)
    return bool(work * sequences * models >= LONG)


def error_rate(result: Result, task: Task) -> float:
    """Return the share of wrong bits."""
    return result.wrong_bits / (result.sequences * result.length * task.output_size)


def evaluate_all(
    model: nn.Module,
    task: Task,
    trials: Sequence[tuple[int, int | None]],
    sequences: int = 100,
    give_up: float = 1.0,
    before: Sequence[Result] = (),
    fast: StackedModels | None = None,
) -> list[Result]:
    """Return results at each length and memory in turn, those of before among them.

    Args:
        model: an `NTM` or a `Baseline`.
        task: where the sequences come from.
        trials: pairs of a length and a number of memory locations, None for the
            model's own; easier ones first.
        sequences: how many at each length.
        give_up: after a larger share of wrong bits the model is not tried at a greater
            length with no more locations per vector.
        before: earlier results; a new one at the same length and with the same
            locations takes the place of the old one.
        fast: as `evaluate` has it.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.
    """
    results = list(before)
    failed = [r for r in results if error_rate(r, task) > give_up]
    for length, locations in trials:
        room: int = locations or getattr(model, "memory_locations", None) or 0
        if any(
            r.length <= length and room * r.length <= (r.memory_locations or 0) * length
            for r in failed
        ):
            continue
        result = evaluate(
            model,
            task,
            length,
            sequences=sequences,
            memory_locations=locations,
            fast=fast,
        )
        where = (result.length, result.memory_locations)
        results = [r for r in results if (r.length, r.memory_locations) != where]
        results.append(result)
        if error_rate(result, task) > give_up:
            failed.append(result)
    return results
