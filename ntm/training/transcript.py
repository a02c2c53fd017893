"""One sequence in words: what went in, where the heads were, what came out."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ntm.machine import NTM
from ntm.tasks import Batch, wrong_bits


@torch.no_grad()
def transcript(model: nn.Module, batch: Batch) -> Iterator[str]:
    """Give the lines of a table with a row for each step of a sequence.

    A row has the input, channel by channel, those that the answer has not set apart;
    for each head the location with the largest weight, and that weight; and the answer,
    with a mark under each wrong bit.

    Args:
        model: an `NTM`, or a model without heads.
        batch: a single sequence; those after the first are left out.

    Chapter: *Copying*.
    """
    batch = Batch(batch.inputs[:, :1], batch.targets[:, :1], batch.mask[:, :1])
    columns = ["input"]
    table = [[_channels(x, batch.targets.shape[-1])] for x in batch.inputs[:, 0]]
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

    yield line("step", columns, "answer")
    answers = zip(outputs[:, 0] > 0, batch.targets[:, 0] > 0.5, strict=True)
    for step, (cells, (answer, target)) in enumerate(zip(table, answers, strict=True)):
        if not batch.mask[step]:
            yield line(step + 1, cells, "")
            continue
        yield line(step + 1, cells, _channels(answer.float(), len(answer)))
        if (answer != target).any():
            marks = "".join("^" if wrong else " " for wrong in answer != target)
            yield line("", ["" for _ in cells], marks + "  wrong")
    asked = int(batch.mask.sum()) * batch.targets.shape[-1]
    yield f"{int(wrong_bits(outputs, batch))} of {asked} bits wrong"


def _channels(values: Tensor, apart: int) -> str:
    parts = [values[:apart].tolist(), values[apart:].tolist()]
    return " ".join("".join(f"{v:g}" for v in part) for part in parts if part)


def _focus(weighting: Tensor) -> str:
    weight, location = weighting.max(dim=-1)
    return f"{int(location):>3} ({weight:.2f})"
