"""How well a trained machine does, at any length and with any memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from zlib import crc32

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.baseline import Baseline
from ntm.recurrent import Recurrent
from ntm.tasks import TASKS, Batch, Size, Task, cost_in_bits, wrong_bits
from ntm.tasks.base import bits_asked, named, steps
from ntm.training.stacked import StackedModels, groups, side_by_side

STREAM = 3 * 2**30
"""Added to the seed of an evaluation, so that it sees no sequences of a training.

Those have the seeds below 2³¹, and the judgements on the way the ones from there on.  A
generator counts the lowest 32 bits of a seed alone."""

SIDE_BY_SIDE = 100
"""Sequences of one pass: few enough that the memory of all of them stays small."""

TOGETHER = 8
"""Seeds that `evaluate_seeds` takes through the machine side by side."""

MOST_LOCATIONS = 2**22
"""Locations, in the memories of all seeds and sequences, of one pass on a GPU: a third
of a gigabyte at the usual width."""

LONG = 2**24
"""Steps × sequences × locations from which on it pays to compile: ten seconds without,
half of that for the compiler."""


COSTS = ("bits", "optimum")
"""The fields of a result that are no whole numbers, and may be missing."""


class Trial(NamedTuple):
    """A size of sequences, and a number of memory locations; None for a model's own."""

    size: Size
    memory_locations: int | None = None


class Result(NamedTuple):
    """What came out at one size.

    size: its numbers by name · memory_locations: None for a model without a memory ·
    wrong_bits: in all sequences together · exact: sequences without a wrong bit ·
    bits: mean cost of a sequence, None where it was not counted yet · optimum: what
    the best answers to the same sequences cost, None where there is no such thing (see
    ``optimum_of`` of the task).
    """

    size: dict[str, int]
    memory_locations: int | None
    sequences: int
    wrong_bits: int
    exact: int
    bits: float | None = None
    optimum: float | None = None

    @property
    def where(self) -> tuple[int | None, ...]:
        """Where it was tried, the numbers of the size and then the locations."""
        return (*self.size.values(), self.memory_locations)

    @property
    def excess(self) -> float | None:
        """Mean cost of a sequence above the optimum; None where there is none."""
        if self.bits is None or self.optimum is None:
            return None
        return self.bits - self.optimum

    def to_json(self) -> dict[str, Any]:
        """Return one flat row, as files and JSON have it; `from_json` turns it back."""
        values = self._asdict()
        size: dict[str, int] = values.pop("size")
        known = {k: v for k, v in values.items() if k not in COSTS or v is not None}
        return size | known

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Result":
        """Return the result of a row: what is no field is a number of the size.

        Raises:
            TypeError, ValueError: a field is missing, or not the number it should be,
                or no task has sizes of these names.
        """
        for name, value in row.items():
            if name in COSTS and isinstance(value, float) and math.isfinite(value):
                continue
            if value is not None or name not in (*COSTS, "memory_locations"):
                require_whole(0, **{name: value})
        own = {name: value for name, value in row.items() if name in cls._fields}
        size = {name: value for name, value in row.items() if name not in own}
        if set(size) not in [set(kind.size_names) for kind in TASKS.values()]:
            raise ValueError(f"{', '.join(size)}: no task has such a size")
        return cls(size=size, **own)


@torch.no_grad()
def evaluate(
    model: Recurrent[Any],
    task: Task,
    size: int | Size,
    sequences: int = 100,
    seed: int = 0,
    memory_locations: int | None = None,
    fast: StackedModels | None = None,
) -> Result:
    """Return how a model does on random sequences of one size.

    Args:
        model: an `NTM` or a `Baseline`.
        task: where the sequences come from.
        size: any, not only those of training; a number alone is a size of one number.
        sequences: how many.
        seed: of the sequences: the same seed and size, the same sequences, which no
            training sees.
        memory_locations: N; the model's own unless said otherwise.
        fast: a compiled population of the same structure, whose steps run the model:
            the same logits up to rounding.  None: the model runs by itself.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Farther*.
    """
    require_whole(1, sequences=sequences)
    require_whole(0, seed=seed)
    if seed >= 2**30:
        raise ValueError(f"seed: got {seed}, needs less than 2³⁰")
    numbers = named(task, size if isinstance(size, tuple) else (size,))
    settings: dict[str, Any] = {}
    if fast and fast.shapes != {n: p.shape for n, p in model.named_parameters()}:
        raise ValueError("fast: got a population of another structure than the model's")
    if not isinstance(model, Baseline):
        own: Any = model.memory_locations
        settings["memory_locations"] = (
            own if memory_locations is None else memory_locations
        )
        require_whole(1, **settings)
    elif memory_locations is not None:
        raise ValueError(
            f"memory_locations: got {memory_locations}, needs None: the baseline has "
            "no memory"
        )
    parameter = next(model.parameters())
    stream = torch.Generator().manual_seed(STREAM + seed)
    wrong: list[int] = []
    bits = optimum = 0.0
    best: Tensor | None = None
    while len(wrong) < sequences:
        count = min(SIDE_BY_SIDE, sequences - len(wrong))
        batch = task.batch(stream, count, *numbers.values())
        inputs = batch.inputs.to(parameter.device, parameter.dtype)
        logits = _outputs(model, fast, inputs, settings).float().cpu()
        wrong += wrong_bits(logits, batch).tolist()
        bits += float(cost_in_bits(logits, batch).double().sum())
        best = task.optimum_of(batch)
        optimum += 0.0 if best is None else float(best.sum())
    return Result(
        size=numbers,
        memory_locations=settings.get("memory_locations"),
        sequences=sequences,
        wrong_bits=sum(wrong),
        exact=wrong.count(0),
        bits=bits / sequences,
        optimum=None if best is None else optimum / sequences,
    )


@torch.no_grad()
def evaluate_seeds(
    stacked: StackedModels,
    parameters: Tensor,
    task: Task,
    size: Size,
    sequences: int = 100,
    seed: int = 0,
    memory_locations: int | None = None,
) -> list[Result]:
    """Return how each of many seeds does on the same random sequences of one size.

    Args:
        stacked: of the structure of their models.
        parameters: of each seed, ``(seeds, P)``.
        task: where the sequences come from.
        size: any, not only those of training.
        sequences: how many.
        seed: of the sequences, which no training sees; another one, or another size,
            and they have nothing in common.
        memory_locations: N; None for a model without a memory.

    Chapter: *Farther*.
    """
    numbers = named(task, size)
    settings = (
        {} if memory_locations is None else {"memory_locations": memory_locations}
    )
    together = min(TOGETHER, len(parameters))
    batches = fresh(task, size, sequences, seed, together * (memory_locations or 1))
    run: Callable[..., Tensor] = stacked
    if parameters.is_cuda:
        from ntm.fast.cuda_graphs import in_pieces

        together = len(parameters)
        most = MOST_LOCATIONS // (together * (memory_locations or 1))
        batches, run = _joined(batches, most), partial(in_pieces, stacked)
    wrong = torch.zeros(len(parameters), sequences, dtype=torch.int64)
    bits = torch.zeros(len(parameters), sequences, dtype=torch.float64)
    optimum: list[float] = []
    end = 0
    for batch in batches:
        start, end = end, min(end + batch.inputs.shape[1], sequences)
        if (best := task.optimum_of(batch)) is not None:
            optimum += best[: end - start].tolist()
        new = slice(start, end)
        for rows in groups([0] * len(parameters), together):
            of_all = side_by_side([batch] * len(rows), parameters.device)
            logits = run(parameters[rows], of_all.inputs, **settings).float()
            count = end - start
            wrong[rows, new] = wrong_bits(logits, of_all)[:, :count].cpu()
            bits[rows, new] = cost_in_bits(logits, of_all)[:, :count].double().cpu()
    return [
        Result(
            size=numbers,
            memory_locations=memory_locations,
            sequences=sequences,
            wrong_bits=int(w.sum()),
            exact=int((w == 0).sum()),
            bits=float(b.mean()),
            optimum=sum(optimum) / sequences if optimum else None,
        )
        for w, b in zip(wrong, bits, strict=True)
    ]


def fresh(
    task: Task, size: Size, sequences: int, seed: int, locations: int
) -> Iterator[Batch]:
    """Give the sequences of `evaluate_seeds` in turn; at the end there may be too many.

    Args:
        task: where the sequences come from.
        size: of the sequences.
        sequences: how many.
        seed: of the sequences.
        locations: that a sequence takes, in the memories of all seeds side by side: the
            more, the fewer sequences are in a batch.
    """
    # So few that the memories of all of them stay in a processor's cache.
    count = max(1, min(50, sequences, 2**17 // locations))
    stream = torch.Generator().manual_seed(
        STREAM + crc32(repr((seed, size)).encode()) % 2**30
    )
    for _ in range(0, sequences, count):
        yield task.batch(stream, count, *size)


def _joined(batches: Iterator[Batch], most: int) -> Iterator[Batch]:
    """Give the same sequences in larger batches, of about so many, or a single one."""
    waiting: list[Batch] = []
    for batch in chain(batches, [None]):
        count = sum(each.inputs.shape[1] for each in waiting)
        if waiting and (batch is None or count + batch.inputs.shape[1] > most):
            yield Batch(*(torch.cat(p, dim=1) for p in zip(*waiting, strict=True)))
            waiting = []
        if batch is not None:
            waiting.append(batch)


def _outputs(
    model: Recurrent[Any],
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
    begin: Callable[..., Any] = model.initial_state
    logits: Tensor = model(inputs, begin(inputs.shape[1], **settings))[0]
    return logits


def worth_compiling(
    model: Recurrent[Any],
    task: Task,
    trials: Sequence[Trial],
    sequences: int,
    models: int = 1,
) -> bool:
    """Return whether these trials take longer than the compiler does.

    Args:
        model: an `NTM`, or a `Baseline`, for which it never pays.
        task: where the sequences come from.
        trials: sizes, and how many memory locations.
        sequences: how many at each size.
        models: how many of this kind are tried.
    """
    if isinstance(model, Baseline):
        return False
    own: Any = model.memory_locations
    work = sum(steps(task, size) * (locations or own) for size, locations in trials)
    return bool(work * sequences * models >= LONG)


def error_rate(result: Result, task: Task) -> float:
    """Return the share of wrong bits."""
    asked = bits_asked(task, tuple(result.size.values()))
    return result.wrong_bits / (result.sequences * asked)


def evaluate_all(
    model: Recurrent[Any],
    task: Task,
    trials: Sequence[Trial],
    sequences: int = 100,
    give_up: float = 1.0,
    before: Sequence[Result] = (),
    fast: StackedModels | None = None,
) -> list[Result]:
    """Return results at each size and memory in turn, those of before among them.

    Args:
        model: an `NTM` or a `Baseline`.
        task: where the sequences come from.
        trials: sizes, and how many memory locations; easier ones first.
        sequences: how many at each size.
        give_up: after a larger share of wrong bits the model is not tried at a size
            that is as large in every number, with no more locations for each of what
            the first number counts.
        before: earlier results; a new one at the same size and with the same locations
            takes the place of the old one.
        fast: as `evaluate` has it.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.
    """
    results = list(before)
    failed = [r for r in results if error_rate(r, task) > give_up]
    for size, locations in trials:
        own: int = getattr(model, "memory_locations", 0)
        room = own if locations is None else locations
        if any(_is_no_easier(size, room, r) for r in failed):
            continue
        result = evaluate(
            model, task, size, sequences, memory_locations=locations, fast=fast
        )
        results = [r for r in results if r.where != result.where]
        results.append(result)
        if error_rate(result, task) > give_up:
            failed.append(result)
    return results


def _is_no_easier(size: Size, locations: int, than: Result) -> bool:
    other = tuple(than.size.values())
    is_larger = all(mine >= its for mine, its in zip(size, other, strict=True))
    return is_larger and locations * other[0] <= (than.memory_locations or 0) * size[0]
