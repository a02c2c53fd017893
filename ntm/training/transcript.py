"""One sequence in words: what went in, where the heads were, what came out."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ntm.machine import NTM
from ntm.tasks import Batch, Task, cost_in_bits, wrong_bits


@torch.no_grad()
def transcript(model: nn.Module, task: Task, batch: Batch) -> Iterator[str]:
    """Give the lines of a table with a row for each step of a sequence.

    A row has the input, the channels of a vector as one word and each other one apart;
    for each head the location with the largest weight, and that weight; and the answer,
    with a mark under each wrong bit.  Where chance decides what is right, the answer is
    how likely a 1 is, and beside it stands what came.

    Args:
        model: an `NTM`, or a model without heads.
        task: what the sequence is of.
        batch: a single sequence; those after the first are left out.

    Chapter: *How fast and how surely*.
    """
    batch = Batch(batch.inputs[:, :1], batch.targets[:, :1], batch.mask[:, :1])
    columns, size = ["input"], task.vector_size
    optimum = task.optimum_of(batch)
    table = [[_numbers(x, size)] for x in batch.inputs[:, 0]]
    if isinstance(model, NTM):
        outputs, _, trace = model.trace(batch.inputs)
        columns += ["write head", "read head"]
        for head in (trace.write, trace.read):
            for row, weightings in zip(table, head.weighting[:, 0], strict=True):
                row.append(", ".join(_focus(weighting) for weighting in weightings))
    else:
        outputs, _ = model(batch.inputs)
    widths = [max(map(len, column)) for column in zip(columns, *table, strict=True)]

    def line(first: object, cells: list[str], last: str) -> str:
        padded = (f"{c:<{w}}" for c, w in zip(cells, widths, strict=True))
        return "  ".join([f"{first:>5}", *padded, last]).rstrip()

    if optimum is not None:
        yield line("step", columns, "chance of 1, and what came")
        for step, cells in enumerate(table):
            chance = _numbers(outputs[step, 0].sigmoid(), size, ".2f")
            came = _numbers(batch.targets[step, 0], size)
            said = f"{chance}  {came}" if batch.mask[step] else ""
            yield line(step + 1, cells, said)
        cost = float(cost_in_bits(outputs, batch))
        yield f"costs {cost:.2f} bits; the best predictor: {float(optimum):.2f}"
        return
    yield line("step", columns, "answer")
    answers = zip(outputs[:, 0] > 0, batch.targets[:, 0] > 0.5, strict=True)
    for step, (cells, (answer, target)) in enumerate(zip(table, answers, strict=True)):
        if not batch.mask[step]:
            yield line(step + 1, cells, "")
            continue
        yield line(step + 1, cells, _numbers(answer.float(), size))
        if (answer != target).any():
            marks = ["^" if wrong else " " for wrong in answer != target]
            wrong = _words(marks, size) + "  wrong"
            yield line("", ["" for _ in cells], wrong)
    asked = int(batch.mask.sum()) * batch.targets.shape[-1]
    yield f"{int(wrong_bits(outputs, batch))} of {asked} bits wrong"


def _numbers(values: Tensor, vector_size: int, form: str = ".3g") -> str:
    return _words([format(value, form) for value in values.tolist()], vector_size)


def _words(channels: list[str], vector_size: int) -> str:
    return " ".join(["".join(channels[:vector_size]), *channels[vector_size:]])


def _focus(weighting: Tensor) -> str:
    weight, location = weighting.max(dim=-1)
    return f"{int(location):>3} ({weight:.2f})"
