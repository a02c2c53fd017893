"""What a part is, and how its check says what was expected and what came."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

Check = Callable[[ModuleType], None]
Case = tuple[str, tuple[Any, ...], Any]
"""A sentence, the arguments, and what a function has to give."""


class WrongError(Exception):
    """What was expected, and what the file gave."""


class Part(NamedTuple):
    """A part of the machine.

    title · name, what has to be in the file before it can be checked · chapter, its
    title and its file · check, which is given the file and raises a `WrongError`.
    """

    title: str
    name: str
    chapter: tuple[str, str]
    check: Check

    @property
    def asks(self) -> str:
        """What there is to write."""
        return " ".join(str(self.check.__doc__).split())

    @property
    def told_in(self) -> str:
        """The chapter that tells it."""
        title, name = self.chapter
        return f"Chapter: {title} (book/{name}.ipynb)"


def part(title: str, name: str, *chapter: str) -> Callable[[Check], Part]:
    """Make a part of its check, whose docstring says what there is to write."""
    return partial(Part, title, name, (chapter[0], chapter[1]))


def expect(sentence: str, wanted: Any, get: Callable[[], Any], *dims: str) -> None:
    """Raise a `WrongError` with the first row that is not as wanted.

    Args:
        sentence: what the numbers are.
        wanted: a tensor, or lists of numbers; three decimals count, and are shown.
        get: gives the file's.
        dims: what to call the dimensions before the last, unless their size is 1.
    """
    wanted = torch.as_tensor(wanted)
    try:
        got = get()
    except Exception as error:  # a person is at work here: say what went wrong
        got = f"{type(error).__name__}: {error}".splitlines()[0]
        raise WrongError(f"{sentence}:\nexpected {row(wanted)}, got {got}") from error
    if kind(got) != kind(wanted):
        raise WrongError(f"{sentence}:\nexpected {kind(wanted)}, got {kind(got)}")
    same = torch.isclose(got, wanted, rtol=0, atol=1e-3)
    if not same.all():
        place = tuple((~same).nonzero()[0].tolist()[:-1])
        named = zip(dims, place, wanted.shape, strict=False)
        where = "".join(f", {dim} {i}" for dim, i, size in named if size > 1)
        wanted, got = row(wanted[place]), row(got[place])
        raise WrongError(f"{sentence}{where}:\nexpected {wanted}, got {got}")


def each(call: Callable[..., Any], cases: list[Case], *dims: str) -> None:
    """Expect what each case wants when it is alone, and when all are one batch."""
    batches = []
    for sentence, arguments, wanted in cases:
        tensors = [torch.tensor([x]) for x in (*arguments, wanted)]
        expect(
            sentence,
            tensors[-1],
            partial(call, *map(torch.clone, tensors[:-1])),
            "",
            *dims,
        )
        batches.append(tensors)
    *together, wanted = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    sentence = f"These {len(cases)} cases as one batch (each was right alone)"
    expect(sentence, wanted, partial(call, *together), "sequence", *dims)


def row(numbers: Tensor) -> str:
    """Return numbers to three decimals; of a matrix, those of its first row."""
    while numbers.dim() > 1:
        numbers = numbers[0]
    shown = [f"{round(x, 3) + 0.0:g}" for x in numbers.reshape(-1).tolist()]
    return "[" + " ".join(shown if len(shown) <= 8 else [*shown[:4], "…"]) + "]"


def kind(thing: Any) -> str:
    """Return of what type and shape a tensor is, or what else it is."""
    if thing is None:
        return "nothing"
    if not isinstance(thing, Tensor):
        return f"a {type(thing).__name__}"
    dtype = str(thing.dtype).removeprefix("torch.")
    return f"{dtype} of shape {tuple(thing.shape)}"
