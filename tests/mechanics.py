"""Every function of `ntm.memory` and `ntm.addressing` with valid random arguments.

What all of them promise (any dtype, any batch, vmap, compile, gradients) is tested over this one
table in `test_contract`, so that a new function joins all of those tests with one line here.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ntm import addressing, memory

N, W, TAPS = 7, 5, 3


def rows(*batch: int, n: int = N, w: int = W) -> Tensor:
    return torch.randn(*batch, n, w, dtype=torch.float64)


def vector(*batch: int) -> Tensor:
    return torch.randn(*batch, W, dtype=torch.float64)


def between(low: float, high: float, *batch: int) -> Tensor:
    return low + (high - low) * torch.rand(batch, dtype=torch.float64)


def weighting(*batch: int, n: int = N) -> Tensor:
    return torch.softmax(2 * torch.randn(*batch, n, dtype=torch.float64), dim=-1)


class Mechanism(NamedTuple):
    """A function and how to draw its arguments for a batch shape."""

    function: Callable[..., Tensor | tuple[Tensor, ...]]
    draw: Callable[..., tuple[Tensor, ...]]

    def __call__(self, *arguments: Tensor) -> Tensor:
        """Return the result as one tensor: the stages of an address are stacked."""
        result = self.function(*arguments)
        return result if isinstance(result, Tensor) else torch.stack(result, dim=-2)


def _draw_address(*b: int) -> tuple[Tensor, ...]:
    return (
        rows(*b),
        weighting(*b),
        vector(*b),
        between(0, 20, *b),
        between(0, 1, *b),
        weighting(*b, n=TAPS),
        between(1, 20, *b),
    )


MECHANICS = {
    "read": Mechanism(memory.read, lambda *b: (rows(*b), weighting(*b))),
    "erase": Mechanism(
        memory.erase, lambda *b: (rows(*b), weighting(*b), between(0, 1, *b, W))
    ),
    "add": Mechanism(memory.add, lambda *b: (rows(*b), weighting(*b), vector(*b))),
    "write": Mechanism(
        memory.write,
        lambda *b: (rows(*b), weighting(*b), between(0, 1, *b, W), vector(*b)),
    ),
    "cosine_similarity": Mechanism(
        addressing.cosine_similarity, lambda *b: (vector(*b), rows(*b))
    ),
    "content_weighting": Mechanism(
        addressing.content_weighting,
        lambda *b: (rows(*b), vector(*b), between(0, 20, *b)),
    ),
    "interpolate": Mechanism(
        addressing.interpolate,
        lambda *b: (weighting(*b), weighting(*b), between(0, 1, *b)),
    ),
    "shift": Mechanism(
        addressing.shift, lambda *b: (weighting(*b), weighting(*b, n=TAPS))
    ),
    "sharpen": Mechanism(
        addressing.sharpen, lambda *b: (weighting(*b), between(1, 20, *b))
    ),
    "address": Mechanism(addressing.address, _draw_address),
}
