"""Every function of `ntm.memory`, `ntm.addressing`, `ntm.heirs`, with random arguments.

What all of them promise (any dtype, any batch, vmap, compile, gradients) is tested over this one
table in `test_contract` and `test_compiler`: a new function joins those tests with a line here.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ntm import addressing, heirs, memory

N, W, TAPS = 7, 5, 3


def rows(*batch: int, n: int = N, w: int = W) -> Tensor:
    return torch.randn(*batch, n, w, dtype=torch.float64)


def vector(*batch: int) -> Tensor:
    return torch.randn(*batch, W, dtype=torch.float64)


def between(low: float, high: float, *batch: int) -> Tensor:
    return low + (high - low) * torch.rand(batch, dtype=torch.float64)


def weighting(*batch: int, n: int = N) -> Tensor:
    return torch.softmax(2 * torch.randn(*batch, n, dtype=torch.float64), dim=-1)


def direction(*batch: int) -> Tensor:
    """The key of a delta rule: signed, of length 1."""
    return torch.nn.functional.normalize(rows(*batch)[..., 0], dim=-1)


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


def _write(*b: int) -> tuple[Tensor, ...]:
    return rows(*b), direction(*b), vector(*b)


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
    "attention_weighting": Mechanism(
        heirs.attention_weighting, lambda *b: (rows(*b), vector(*b))
    ),
    "fast_weights": Mechanism(
        heirs.fast_weights,
        lambda *b: (*_write(*b), between(0, 1, *b), between(0, 1, *b)),
    ),
    "linear_attention": Mechanism(
        heirs.linear_attention,
        lambda *b: (rows(*b, w=W + 1), rows(*b)[..., 0], vector(*b)),
    ),
    "linear_attention_read": Mechanism(
        heirs.linear_attention_read, lambda *b: (1 + rows(*b) ** 2, rows(*b)[..., 0])
    ),
    "delta": Mechanism(heirs.delta, lambda *b: (*_write(*b), between(0, 2, *b))),
    "gated_delta": Mechanism(
        heirs.gated_delta,
        lambda *b: (*_write(*b), between(0, 2, *b), between(0, 1, *b)),
    ),
    "kimi_delta": Mechanism(
        heirs.kimi_delta,
        lambda *b: (*_write(*b), between(0, 2, *b), between(0, 1, *b, N)),
    ),
    "erase_then_delta": Mechanism(
        heirs.erase_then_delta,
        lambda *b: (
            *_write(*b),
            between(0, 2, *b),
            between(0, 1, *b, N),
            direction(*b),
            between(0, 1, *b),
        ),
    ),
    "rwkv7": Mechanism(
        heirs.rwkv7,
        lambda *b: (
            *_write(*b),
            between(0, 1, *b, N),
            direction(*b),
            between(0, 1, *b, N),
        ),
    ),
    "gated_slots": Mechanism(
        heirs.gated_slots, lambda *b: (rows(*b), vector(*b), between(0, 1, *b, N))
    ),
}


def assert_same(ours: Tensor, theirs: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_compiled_it_is_the_same(mechanisms: list[Mechanism], backend: str) -> None:
    """Numbers and gradients of these, compiled as one."""
    torch.compiler.reset()
    drawn = [[a.requires_grad_() for a in each.draw(2)] for each in mechanisms]

    def all_of(*arguments: list[Tensor]) -> list[Tensor]:
        pairs = zip(mechanisms, arguments, strict=True)
        return [each(*mine) for each, mine in pairs]

    compiled = torch.compile(all_of, backend=backend, fullgraph=True)
    results = [function(*drawn) for function in (all_of, compiled)]
    weights = [torch.randn_like(result) for result in results[0]]
    flat = [a for arguments in drawn for a in arguments]
    gradients = [torch.autograd.grad(result, flat, weights) for result in results]
    for eager, fast in zip(*results, strict=True):
        assert_same(fast, eager)
    for eager, fast in zip(*gradients, strict=True):
        assert_same(fast, eager, tolerance=1e-9)
