"""The step of a machine once more, as a compiler makes fast code of it.

The equations are those of `ntm.addressing` and `ntm.memory`; `NTM.step` is what a
reader wants, and what this is tested against.  What is different is there for speed:

- The memory lies by columns, ``(…, W, N)``: sums over the width of all locations run
  side by side.
- Lengths are divided by once a location, not once a number.
- What was found on the way ahead is not searched for again on the way back: the
  products with the key, the lengths of the rows, and the memory after the write.
- The way back through the write and the shift is written out, without what it would
  keep for later.
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from ntm.addressing import SHORTEST, smallest
from ntm.heads import AddressParameters
from ntm.machine import NTM, State, Weightings


def step(
    model: nn.Module, inputs: Tensor, state: Any, cache: tuple[Tensor, ...] = ()
) -> tuple[Tensor, Any, tuple[Tensor, ...]]:
    """Return what ``model.step`` returns, up to rounding, and what was found.

    A model with a step of its own, an `NTM` of another kind among them, takes that and
    finds nothing.

    Args:
        model: any with a ``step``.
        inputs: ``(batch, input_size)``.
        state: that of the step before.
        cache: what the same step has found before, to save time; empty the first time.
    """
    if not steps_as_ntm(model):
        return (*model.step(inputs, state), ())  # type: ignore[operator]
    seen = torch.cat([inputs, state.reads.flatten(-2)], dim=-1)
    hidden, carried = model.controller(seen, state.controller)
    params = model.heads(hidden)
    columns, previous = state.memory.mT, state.weightings
    for_write = lookup(columns, params.write.key, *cache[:2])
    to_write = weighting(*for_write, previous.write, params.write)
    columns = write(columns, to_write, *params.change, *cache[2:3])
    for_read = lookup(columns, params.read.key, *cache[3:])
    to_read = weighting(*for_read, previous.read, params.read)
    reads = (columns.unsqueeze(-3) * to_read.unsqueeze(-2)).sum(dim=-1)
    outputs = model.output(torch.cat([hidden, reads.flatten(-2)], dim=-1))
    after = State(columns.mT, Weightings(to_write, to_read), reads, carried)
    return outputs, after, (*for_write, columns, *for_read)


def steps_as_ntm(model: nn.Module) -> TypeGuard[NTM]:
    """Return whether the model's step is that of `NTM`, whatever its parts are."""
    return isinstance(model, NTM) and all(
        getattr(getattr(model, name), "__func__", None) is getattr(NTM, name)
        for name in ("step", "_step", "address")
    )


def lookup(columns: Tensor, key: Tensor, *known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the keys' products with the rows, ``(…, H, N)``, and the rows' squares.

    Args:
        columns: the memory, ``(…, W, N)``.
        key: ``(…, H, W)``.
        known: both results, if they are known and only the way back is wanted.
    """
    dot, squares = _Lookup.apply(columns, key, *known)  # type: ignore[no-untyped-call]
    return dot, squares


def write(columns: Tensor, *parts: Tensor) -> Tensor:
    """Return the memory of `ntm.memory.write`, by columns: all erases, then all adds.

    Args:
        columns: the memory before, ``(…, W, N)``.
        parts: weightings ``(…, H, N)``, erase and add vectors ``(…, H, W)``, and the
            result, if it is known and only the way back is wanted.
    """
    after: Tensor = _Write.apply(columns, *parts)  # type: ignore[no-untyped-call]
    return after


def weighting(
    dot: Tensor, squares: Tensor, previous: Tensor, params: AddressParameters
) -> Tensor:
    """Return the weightings of `ntm.addressing.address`, ``(…, H, N)``.

    Args:
        dot: what `lookup` found for the keys in `params`, ``(…, H, N)``.
        squares: what it found for the rows, ``(…, N)``.
        previous: the weightings of the step before, ``(…, H, N)``.
        params: how to move on from there; a part for each head.
    """
    of_key = inverse_norm(params.key.square().sum(dim=-1, keepdim=True))
    similarity = dot * inverse_norm(squares).unsqueeze(-2) * of_key
    # The largest is taken away before the strength is put on: PyTorch's compiler knows
    # the other order, and guards it against strengths below 0, which there are not.
    below = similarity - similarity.detach().amax(dim=-1, keepdim=True)
    content = normalize(torch.exp(params.strength * below))
    gated = previous + params.gate * (content - previous)
    shifted = _Shift.apply(gated, params.kernel)  # type: ignore[no-untyped-call]
    positive = shifted.clamp_min(smallest(shifted.dtype))
    scaled = positive / positive.detach().amax(dim=-1, keepdim=True)
    return normalize(torch.exp(params.exponent * scaled.log()))


def inverse_norm(squares: Tensor) -> Tensor:
    """Return 1 / length, no length below `SHORTEST`."""
    return squares.clamp_min(SHORTEST**2).rsqrt()


def normalize(amounts: Tensor) -> Tensor:
    """Return each amount's share of their sum."""
    return amounts * amounts.sum(dim=-1, keepdim=True).reciprocal()


class _Lookup(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(columns: Tensor, key: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        if known:
            return known[0].clone(), known[1].clone()
        dot = (key.unsqueeze(-1) * columns.unsqueeze(-3)).sum(dim=-2)
        return dot, columns.square().sum(dim=-2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.unknown = (None,) * len(inputs[2:])

    @staticmethod
    def backward(ctx: Any, by_dot: Tensor, by_squares: Tensor) -> Any:
        columns, key = ctx.saved_tensors
        by_columns = 2 * columns * by_squares.unsqueeze(-2)
        for h in range(key.shape[-2]):
            by_columns = by_columns + _outer(key, by_dot, h)
        by_key = (columns.unsqueeze(-3) * by_dot.unsqueeze(-2)).sum(dim=-1)
        return (by_columns, by_key, *ctx.unknown)


class _Write(torch.autograd.Function):
    """M ∘ (1 − e w) + a w: all erases, then all adds."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        columns: Tensor, w: Tensor, e: Tensor, a: Tensor, *known: Tensor
    ) -> Tensor:
        if known:
            return known[0].clone()
        for h in range(w.shape[-2]):
            columns = columns * (1 - _outer(e, w, h))
        for h in range(w.shape[-2]):
            columns = columns + _outer(a, w, h)
        return columns

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:4])
        ctx.unknown = (None,) * len(inputs[4:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        columns, w, e, a = ctx.saved_tensors
        heads = range(w.shape[-2])
        by_w, by_e, by_a = [], [], []
        for h in heads:
            others = columns  # the memory after the erases of all other heads
            for other in heads:
                if other != h:
                    others = others * (1 - _outer(e, w, other))
            change = a[..., h, :].unsqueeze(-1) - e[..., h, :].unsqueeze(-1) * others
            by_w.append((gradient * change).sum(dim=-2))
            share = gradient * w[..., h, :].unsqueeze(-2)
            by_e.append(-(share * others).sum(dim=-1))
            by_a.append(share.sum(dim=-1))
        for h in heads:
            gradient = gradient * (1 - _outer(e, w, h))
        stacked = (torch.stack(parts, dim=-2) for parts in (by_w, by_e, by_a))
        return (gradient, *stacked, *ctx.unknown)


def _outer(vectors: Tensor, weightings: Tensor, head: int) -> Tensor:
    return vectors[..., head, :].unsqueeze(-1) * weightings[..., head, :].unsqueeze(-2)


class _Shift(torch.autograd.Function):
    """The way back through a shift is a shift the other way."""

    generate_vmap_rule = True

    @staticmethod
    def forward(weighting: Tensor, kernel: Tensor) -> Tensor:
        return _shifted(weighting, kernel)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        weighting, kernel = ctx.saved_tensors
        moved = _moved(weighting, kernel.shape[-1] // 2)
        by_offset = torch.stack([(gradient * m).sum(dim=-1) for m in moved], dim=-1)
        return _shifted(gradient, kernel.flip(-1)), by_offset


def _moved(weighting: Tensor, reach: int) -> list[Tensor]:
    """Return the weighting moved by −R, …, R: parts of one that is a bit longer."""
    n = weighting.shape[-1]
    ends = weighting[..., n - reach :], weighting, weighting[..., :reach]
    longer = torch.cat(ends, dim=-1)
    return [longer[..., reach - j : reach - j + n] for j in range(-reach, reach + 1)]


def _shifted(weighting: Tensor, kernel: Tensor) -> Tensor:
    moved = _moved(weighting, kernel.shape[-1] // 2)
    first, *rest = (m * kernel[..., k, None] for k, m in enumerate(moved))
    return sum(rest, first)
