"""Where a head attends: the paper's section 3.3, a function for each equation.

`content_weighting` finds locations by what they hold, `interpolate` lets the head keep
its place, `shift` moves the focus and `sharpen` undoes the blur; `address` runs the
four in this order. A weighting has shape ``(…, N)``, is non-negative and sums to 1;
every stage keeps it so.

Strength, gate and exponent are one value a weighting: shape ``(…)`` or ``(…, 1)``, or a
plain number for all of them.  Heads are leading dimensions like any other, except that
several keys ``(…, H, W)`` may look at one memory ``(…, N, W)``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ntm._checks import (
    describe,
    per_weighting,
    require_axes,
    require_floating,
    require_heads,
    require_shape,
)

SHORTEST = 1e-3
"""Rows and keys shorter than this count as having this length when they are compared.

The cosine has no value for a zero vector, and near one its slope grows without bound.
With a shortest length an empty row resembles nothing (similarity 0), and no slope
exceeds 1 / SHORTEST. Not in the paper; vectors of ordinary length are compared exactly
as it says.
"""


class Address(NamedTuple):
    """The weighting after each of the four stages, each of shape ``(…, N)``."""

    content: Tensor
    gated: Tensor
    shifted: Tensor
    sharpened: Tensor

    @property
    def weighting(self) -> Tensor:
        """The weighting with which the head reads or writes, that of the last stage."""
        return self.sharpened


def cosine_similarity(key: Tensor, memory: Tensor) -> Tensor:
    """Return how alike the key and each row of the memory are, from −1 to 1.

    K[u, v] = u · v / (‖u‖ ‖v‖)                                             (equation 6)

    Lengths below `SHORTEST` are taken as `SHORTEST`, so that a zero row or key has
    similarity 0 and a finite gradient.

    Args:
        key: ``(…, W)``, or ``(…, H, W)`` for H keys on one memory.
        memory: ``(…, N, W)``.

    Returns:
        ``(…, N)``, or ``(…, H, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Finding by content*.
    """
    require_floating(key=key, memory=memory)
    require_axes("memory", memory, "N W")
    has_heads = require_heads("key", key, memory, size=memory.shape[-1])
    keys = key if has_heads else key.unsqueeze(-2)
    dot = keys @ memory.mT
    key_length = torch.linalg.vector_norm(keys, dim=-1).clamp_min(SHORTEST)
    row_length = torch.linalg.vector_norm(memory, dim=-1).clamp_min(SHORTEST)
    similarity: Tensor = dot / (key_length.unsqueeze(-1) * row_length.unsqueeze(-2))
    return similarity if has_heads else similarity.squeeze(-2)


def content_weighting(memory: Tensor, key: Tensor, strength: Tensor | float) -> Tensor:
    """Return the weighting by likeness: the more a row resembles the key, the more.

    wᶜ(i) = exp(β K[k, M(i)]) / Σⱼ exp(β K[k, M(j)])                        (equation 5)

    Args:
        memory: ``(…, N, W)``.
        key: ``(…, W)``, or ``(…, H, W)`` for H keys on one memory.
        strength: β ≥ 0; ``(…)``, ``(…, 1)`` or a number.  Above 1 it widens the
            differences, below 1 it narrows them, at 0 all locations weigh the same.

    Returns:
        ``(…, N)``, or ``(…, H, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Finding by content*.
    """
    similarity = cosine_similarity(key, memory)
    beta = per_weighting("strength", strength, similarity)
    return torch.softmax(beta * similarity, dim=-1)


def interpolate(content: Tensor, previous: Tensor, gate: Tensor | float) -> Tensor:
    """Return a mixture of the content weighting and the weighting of the step before.

    wᵍ(i) = g wᶜ(i) + (1 − g) wₜ₋₁(i)                                       (equation 7)

    Args:
        content: ``(…, N)``.
        previous: ``(…, N)``, this head's own weighting of the step before.
        gate: g in [0, 1]; ``(…)``, ``(…, 1)`` or a number.  1 is content alone, 0 keeps
            the place.

    Returns:
        ``(…, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The interpolation gate*.
    """
    require_floating(content=content, previous=previous)
    require_axes("content", content, "N")
    require_shape(
        "previous", previous, tuple(content.shape), describe("content", content)
    )
    g = per_weighting("gate", gate, content)
    return g * content + (1 - g) * previous


def shift(weighting: Tensor, kernel: Tensor) -> Tensor:
    """Return the weighting moved along the memory, round the end to the beginning.

    w̃(i) = Σⱼ wᵍ(i − j) s(j),  indices modulo N                             (equation 8)

    A convolution: mass at offset +1 moves the focus from i to i + 1.  The paper sums
    over all N offsets; a kernel holds those from −R to R, and all others are 0.

    Args:
        weighting: ``(…, N)``.
        kernel: ``(…, 2R + 1)``, the mass at offsets −R, …, 0, …, R in this order:
            non-negative, sum 1.  A single kernel ``(2R + 1,)`` serves all weightings.

    Returns:
        ``(…, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The convolutional shift*.
    """
    require_floating(weighting=weighting, kernel=kernel)
    require_axes("weighting", weighting, "N")
    require_axes("kernel", kernel, "2R+1")
    locations, taps = weighting.shape[-1], kernel.shape[-1]
    if taps % 2 == 0:
        raise ValueError(
            f"kernel: got {taps} taps, needs an odd number: offsets −R … 0 … +R"
        )
    if taps > locations:
        raise ValueError(
            f"kernel: got {taps} taps, needs at most one a location: {locations}"
        )
    if kernel.dim() > 1:
        needed = (*weighting.shape[:-1], taps)
        require_shape("kernel", kernel, needed, describe("weighting", weighting))
    reach = taps // 2
    # roll by j puts w(i − j) at location i, which is the index of the paper's sum.
    moved = [torch.roll(weighting, j, dims=-1) for j in range(-reach, reach + 1)]
    return (torch.stack(moved, dim=-1) * kernel.unsqueeze(-2)).sum(dim=-1)


def sharpen(weighting: Tensor, exponent: Tensor | float) -> Tensor:
    """Return the weighting with its peaks raised and its tails lowered.

    w(i) = w̃(i)ᵞ / Σⱼ w̃(j)ᵞ                                                 (equation 9)

    Computed as softmax(γ log w̃), which neither overflows nor divides 0 by 0.  Dividing
    by the largest entry first cancels in the quotient and keeps the logarithms small
    where the mass is: a quarter of the rounding error at γ near 100.  A weighting
    without any mass, which no stage before this one produces, becomes uniform.

    Args:
        weighting: ``(…, N)``.
        exponent: γ ≥ 1; ``(…)``, ``(…, 1)`` or a number.

    Returns:
        ``(…, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Sharpening*.
    """
    require_floating(weighting=weighting)
    require_axes("weighting", weighting, "N")
    gamma = per_weighting("exponent", exponent, weighting)
    positive = weighting.clamp_min(smallest(weighting.dtype))
    scaled = positive / positive.detach().amax(dim=-1, keepdim=True)
    return torch.softmax(gamma * scaled.log(), dim=-1)


def smallest(dtype: torch.dtype) -> float:
    """Return the number that stands in for 0 where a logarithm is taken.

    The smallest normal one; float16 has so few that it takes a subnormal one.
    """
    return min(torch.finfo(dtype).tiny, 2.0**-24)


def address(
    memory: Tensor,
    previous: Tensor,
    key: Tensor,
    strength: Tensor | float,
    gate: Tensor | float,
    kernel: Tensor,
    exponent: Tensor | float,
) -> Address:
    """Return the weighting after each of the four stages (the paper's figure 2).

    Equations 5 to 9 in this order: content, interpolation, shift, sharpening.

    Args:
        memory: ``(…, N, W)``.
        previous: ``(…, N)``, or ``(…, H, N)`` for H heads: the head's own weighting of
            the step before.
        key: ``(…, W)`` or ``(…, H, W)``.
        strength: β ≥ 0; ``(…)``, ``(…, 1)`` or a number, as are gate and exponent.
        gate: g in [0, 1].
        kernel: ``(…, 2R + 1)``, the mass at offsets −R, …, R.
        exponent: γ ≥ 1.

    Returns:
        An `Address`: ``content``, ``gated``, ``shifted`` and ``sharpened``, each shaped
        as ``previous``.  The last one, also called ``weighting``, is what the head
        uses.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The whole address*.
    """
    content = content_weighting(memory, key, strength)
    gated = interpolate(content, previous, gate)
    shifted = shift(gated, kernel)
    sharpened = sharpen(shifted, exponent)
    return Address(content, gated, shifted, sharpened)
