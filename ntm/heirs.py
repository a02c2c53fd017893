"""What became of the read and the write: the memories of 2016 to 2026, in our shapes.

Each function is one step of a published model, written as `ntm.memory` writes its own:
a memory ``(…, N, W)`` goes in and comes out.  Rows are the axis of the keys and columns
that of the values, so a state that a paper prints as values × keys is transposed here.
What the papers call the *key* of a write stands where the *weighting* stands in
`ntm.memory`, and has its name.  It need be no distribution: it may have minus signs and
any length.

The papers' β is the ``rate`` η here, because β is the key strength.  What they have
around the step (projections, normalised keys, convolutions, output gates) is left out.
Their heads have a memory each and are leading dimensions.  All of these memories are
read by `ntm.memory.read`, except where a function of its own says otherwise.
"""

import torch
from torch import Tensor
from torch.nn.functional import elu

from ntm._checks import (
    describe,
    per_weighting,
    require_axes,
    require_floating,
    require_heads,
    require_shape,
)
from ntm.memory import add, read


def attention_weighting(memory: Tensor, key: Tensor) -> Tensor:
    """Return the weighting of scaled dot-product attention.

    w(i) = exp(k · M(i) / √W) / Σⱼ exp(k · M(j) / √W)

    `ntm.addressing.content_weighting` with two changes: the lengths of key and rows
    count, and there is no strength.  Vaswani et al., *Attention Is All You Need*
    (2017), arXiv 1706.03762, where the key is called query and the rows keys.

    Args:
        memory: ``(…, N, W)``, the rows that are compared.
        key: ``(…, W)``, or ``(…, H, W)`` for H keys on one memory.

    Returns:
        ``(…, N)``, or ``(…, H, N)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Attention is a read*.
    """
    require_floating(memory=memory, key=key)
    require_axes("memory", memory, "N W")
    has_heads = require_heads("key", key, memory, size=memory.shape[-1])
    keys = key if has_heads else key.unsqueeze(-2)
    score = keys @ memory.mT / memory.shape[-1] ** 0.5
    return torch.softmax(score if has_heads else score.squeeze(-2), dim=-1)


def attention(memory: Tensor, values: Tensor, key: Tensor) -> Tensor:
    """Return what attention reads: found in one memory, read from another.

    r = Σᵢ w(i) V(i),  w from the row M(i) beside V(i)

    Args:
        memory: ``(…, N, W)``, the rows that are compared with the key.
        values: ``(…, N, V)``, the rows that are read, of any width.
        key: ``(…, W)``, or ``(…, H, W)`` for H keys on one memory.

    Returns:
        ``(…, V)``, or ``(…, H, V)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Attention is a read*.
    """
    return read(values, attention_weighting(memory, key))


def fast_weights(
    memory: Tensor,
    weighting: Tensor,
    value: Tensor,
    rate: Tensor | float = 1.0,
    decay: Tensor | float = 1.0,
) -> Tensor:
    """Return the memory after an add, when all of it has faded a little.

    M′ = λ M + η w vᵀ

    Schmidhuber, *Learning to Control Fast-Weight Memories* (1992), has λ = η = 1; Ba
    et al., *Using Fast Weights to Attend to the Recent Past* (2016), arXiv 1610.06258,
    have a λ below 1, and one vector as both w and v.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``.
        value: v, ``(…, W)``.
        rate: η; ``(…)``, ``(…, 1)`` or a number, as is the decay.
        decay: λ in [0, 1], the share that is left of every row.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    _require(memory, value, weighting=weighting)
    eta = per_weighting("rate", rate, weighting)
    faded = _fade(memory, _for_all_rows(decay, weighting))
    return add(faded, eta * weighting, value)


def linear_attention(memory: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return the memory of linear attention after one add; nothing is ever erased.

    M′ = M + φ(k) (v, 1)ᵀ,  φ(x) = elu(x) + 1

    The memory has a column more than the value.  In it the φ(k) add up, by which a read
    divides (`linear_attention_read`).  Katharopoulos et al., *Transformers are RNNs*
    (2020), arXiv 2006.16236.

    Args:
        memory: ``(…, N, W + 1)``.
        key: k, ``(…, N)``, before φ.
        value: v, ``(…, W)``.

    Returns:
        ``(…, N, W + 1)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    require_floating(memory=memory, key=key, value=value)
    require_axes("memory", memory, "N W+1")
    *batch, rows, columns = memory.shape
    because = describe("memory", memory)
    require_shape("key", key, (*batch, rows), because)
    require_shape("value", value, (*batch, columns - 1), because)
    one = value.new_ones(*batch, 1)
    return add(memory, elu(key) + 1, torch.cat([value, one], dim=-1))


def linear_attention_read(memory: Tensor, key: Tensor) -> Tensor:
    """Return what linear attention reads: a sum, divided by the sum of its weights.

    r = φ(q)ᵀ M[:, :W] / φ(q)ᵀ M[:, W]

    Args:
        memory: ``(…, N, W + 1)``, to which something has been added.
        key: q, ``(…, N)``, before φ.

    Returns:
        ``(…, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    require_floating(memory=memory, key=key)
    require_axes("memory", memory, "N W+1")
    needed = tuple(memory.shape[:-1])
    require_shape("key", key, needed, describe("memory", memory))
    both = read(memory, elu(key) + 1)
    return both[..., :-1] / both[..., -1:]


def delta(
    memory: Tensor, weighting: Tensor, value: Tensor, rate: Tensor | float
) -> Tensor:
    """Return the memory after the delta rule: what is read there moves to the value.

    M′ = M + η w (v − wᵀM)ᵀ = (I − η w wᵀ) M + η w vᵀ

    A step down the slope of ½‖wᵀM − v‖².  Widrow and Hoff's rule of 1960; as the write
    of a sequence model in Schlag et al., *Linear Transformers Are Secretly Fast Weight
    Programmers* (2021), arXiv 2102.11174, and with keys of length 1 in Yang et al.,
    *Parallelizing Linear Transformers with the Delta Rule* (2024), arXiv 2406.06484.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``.
        value: v, ``(…, W)``.
        rate: η; ``(…)``, ``(…, 1)`` or a number.  With ‖w‖ = 1, η = 1 replaces what is
            read by the value; η up to 2 keeps the memory bounded.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    _require(memory, value, weighting=weighting)
    eta = per_weighting("rate", rate, weighting)
    return add(memory, eta * weighting, value - read(memory, weighting))


def gated_delta(
    memory: Tensor,
    weighting: Tensor,
    value: Tensor,
    rate: Tensor | float,
    decay: Tensor | float,
) -> Tensor:
    """Return the memory after all of it has faded alike, and then the delta rule.

    M′ = α (I − η w wᵀ) M + η w vᵀ

    Yang, Kautz and Hatamizadeh, *Gated Delta Networks* (2024), arXiv 2412.06464.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``.
        value: v, ``(…, W)``.
        rate: η; ``(…)``, ``(…, 1)`` or a number, as is the decay.
        decay: α in [0, 1], the share that is left of every row.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    _require(memory, value, weighting=weighting)
    faded = _fade(memory, _for_all_rows(decay, weighting))
    return delta(faded, weighting, value, rate)


def kimi_delta(
    memory: Tensor,
    weighting: Tensor,
    value: Tensor,
    rate: Tensor | float,
    decay: Tensor,
) -> Tensor:
    """Return the memory after each row has faded in its own way, and the delta rule.

    M′ = (I − η w wᵀ) Diag(α) M + η w vᵀ

    Kimi's delta attention: Kimi Team, *Kimi Linear* (2025), arXiv 2510.26692.  The
    first half is `ntm.memory.erase` with the weighting 1 − α and an erase vector of
    ones.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``.
        value: v, ``(…, W)``.
        rate: η; ``(…)``, ``(…, 1)`` or a number.
        decay: α in [0, 1], ``(…, N)``, the share that is left of each row.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    _require(memory, value, weighting=weighting, decay=decay)
    return delta(_fade(memory, decay), weighting, value, rate)


def erase_then_delta(
    memory: Tensor,
    weighting: Tensor,
    value: Tensor,
    rate: Tensor | float,
    decay: Tensor,
    erase_weighting: Tensor,
    erase_rate: Tensor | float,
) -> Tensor:
    """Return the memory after an erase at one address and a delta rule at another.

    M′ = (I − η w wᵀ) (I − ζ u uᵀ) Diag(α) M + η w vᵀ

    Li et al., *Erase-then-Delta Attention* (2026), arXiv 2606.26560.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``, where the value goes.
        value: v, ``(…, W)``.
        rate: η; ``(…)``, ``(…, 1)`` or a number, as is the other rate.
        decay: α in [0, 1], ``(…, N)``, the share that is left of each row.
        erase_weighting: u, ``(…, N)``, where something is taken away first.
        erase_rate: ζ; how much of what is read there is taken away.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    rows = {"decay": decay, "erase_weighting": erase_weighting}
    _require(memory, value, weighting=weighting, **rows)
    zeta = per_weighting("erase_rate", erase_rate, erase_weighting)
    faded = _fade(memory, decay)
    cleared = delta(faded, erase_weighting, torch.zeros_like(value), zeta)
    return delta(cleared, weighting, value, rate)


def rwkv7(
    memory: Tensor,
    weighting: Tensor,
    value: Tensor,
    decay: Tensor,
    removal: Tensor,
    rate: Tensor,
) -> Tensor:
    """Return the memory after fading, removing by one key and adding by another.

    M′ = Diag(α) M − (η ∘ u) (uᵀM) + w vᵀ

    What is removed is read before anything fades, and its rate is one for each row.
    Peng et al., *RWKV-7 "Goose" with Expressive Dynamic State Evolution* (2025), arXiv
    2503.14456.

    Args:
        memory: ``(…, N, W)``.
        weighting: w, ``(…, N)``, by which the value is added.
        value: v, ``(…, W)``.
        decay: α in [0, 1], ``(…, N)``, the share that is left of each row.
        removal: u, ``(…, N)``, of length 1 in the paper.
        rate: η, ``(…, N)``.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    rows = {"decay": decay, "removal": removal, "rate": rate}
    _require(memory, value, weighting=weighting, **rows)
    removed = add(_fade(memory, decay), -rate * removal, read(memory, removal))
    return add(removed, weighting, value)


def gated_slots(memory: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """Return the memory after each slot has moved a part of its way to the value.

    M′(i) = α(i) M(i) + (1 − α(i)) v

    `ntm.memory.write` with the weighting 1 − α, which need not add up to 1, and an
    erase vector of ones.  Gated slot attention has two such memories, of keys and of
    values, and reads them by `attention`.  Zhang et al., *Gated Slot Attention* (2024),
    arXiv 2409.07146; not the slot attention of Locatello et al. (2020), which is an
    encoder of images.

    Args:
        memory: ``(…, N, W)``.
        value: v, ``(…, W)``, the key or the value of this step.
        decay: α in [0, 1], ``(…, N)``, the share that is left of each slot.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The write that came back*.
    """
    _require(memory, value, decay=decay)
    return add(_fade(memory, decay), 1 - decay, value)


def _fade(memory: Tensor, decay: Tensor) -> Tensor:
    return memory * decay.unsqueeze(-1)


def _for_all_rows(decay: Tensor | float, weighting: Tensor) -> Tensor:
    return per_weighting("decay", decay, weighting) * torch.ones_like(weighting)


def _require(memory: Tensor, value: Tensor, **by_row: Tensor) -> None:
    """Check a memory ``(…, N, W)``, a value ``(…, W)`` and what has a number a row."""
    require_floating(memory=memory, value=value, **by_row)
    require_axes("memory", memory, "N W")
    *batch, rows, width = memory.shape
    because = describe("memory", memory)
    require_shape("value", value, (*batch, width), because)
    for name, tensor in by_row.items():
        require_shape(name, tensor, (*batch, rows), because)
