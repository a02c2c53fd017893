"""Reading from and writing to a memory: the paper's sections 3.1 and 3.2.

A memory is N locations (rows) of width W.  A weighting says how strongly a head attends
to each location: non-negative, sum 1.  All functions are pure; they return new tensors
and take any number of leading batch dimensions.  Where a weighting comes from is the
business of `ntm.addressing`.

Several heads may share one memory: give the weightings a heads dimension, ``(…, H,
N)``, and the vectors likewise, ``(…, H, W)``.
"""

from torch import Tensor

from ntm._checks import (
    describe,
    require_axes,
    require_floating,
    require_heads,
    require_shape,
)


def read(memory: Tensor, weighting: Tensor) -> Tensor:
    """Return the read vector: the rows, mixed in the proportions of the weighting.

    r = Σᵢ w(i) M(i)                                                        (equation 2)

    Args:
        memory: ``(…, N, W)``.
        weighting: ``(…, N)``, or ``(…, H, N)`` for H heads.

    Returns:
        ``(…, W)``, or ``(…, H, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Reading*.
    """
    if _check_weighting(memory, weighting):
        return weighting @ memory
    return (weighting.unsqueeze(-2) @ memory).squeeze(-2)


def erase(memory: Tensor, weighting: Tensor, erase_vector: Tensor) -> Tensor:
    """Return the memory after the erase: each row fades as far as it is attended to.

    M̃(i) = M(i) ∘ (1 − w(i) e)                                              (equation 3)

    With several heads the factors of all of them are multiplied; their order does not
    matter.

    Args:
        memory: ``(…, N, W)``.
        weighting: ``(…, N)``, or ``(…, H, N)`` for H heads.
        erase_vector: ``(…, W)`` or ``(…, H, W)``, each component in [0, 1].

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Writing*.
    """
    if not _check_write(memory, weighting, erase_vector=erase_vector):
        return memory * (1 - _outer(weighting, erase_vector))
    for w, e in zip(weighting.unbind(-2), erase_vector.unbind(-2), strict=True):
        memory = memory * (1 - _outer(w, e))
    return memory


def add(memory: Tensor, weighting: Tensor, add_vector: Tensor) -> Tensor:
    """Return the memory after the add: each row gains as far as it is attended to.

    M(i) = M̃(i) + w(i) a                                                    (equation 4)

    With several heads the contributions of all of them are summed.

    Args:
        memory: ``(…, N, W)``.
        weighting: ``(…, N)``, or ``(…, H, N)`` for H heads.
        add_vector: ``(…, W)`` or ``(…, H, W)``.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Writing*.
    """
    if not _check_write(memory, weighting, add_vector=add_vector):
        return memory + _outer(weighting, add_vector)
    return memory + weighting.mT @ add_vector


def write(
    memory: Tensor, weighting: Tensor, erase_vector: Tensor, add_vector: Tensor
) -> Tensor:
    """Return the memory after a write: erase, then add.

    M(i) = M(i) ∘ (1 − w(i) e) + w(i) a                              (equations 3 and 4)

    With several heads **all** erases come before **all** adds, so that no head wipes
    out what another has just written.

    Args:
        memory: ``(…, N, W)``.
        weighting: ``(…, N)``, or ``(…, H, N)`` for H heads.
        erase_vector: ``(…, W)`` or ``(…, H, W)``, each component in [0, 1].
        add_vector: ``(…, W)`` or ``(…, H, W)``.

    Returns:
        ``(…, N, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Writing*.
    """
    return add(erase(memory, weighting, erase_vector), weighting, add_vector)


def _outer(weighting: Tensor, vector: Tensor) -> Tensor:
    return weighting.unsqueeze(-1) * vector.unsqueeze(-2)


def _check_weighting(memory: Tensor, weighting: Tensor) -> bool:
    """Check both and return whether the weighting has a heads dimension."""
    require_floating(memory=memory, weighting=weighting)
    require_axes("memory", memory, "N W")
    return require_heads("weighting", weighting, memory, size=memory.shape[-2])


def _check_write(memory: Tensor, weighting: Tensor, **vector: Tensor) -> bool:
    """Check all three and return whether they have a heads dimension."""
    has_heads = _check_weighting(memory, weighting)
    require_floating(**vector)
    for name, tensor in vector.items():
        needed = (*weighting.shape[:-1], memory.shape[-1])
        require_shape(name, tensor, needed, describe("weighting", weighting))
    return has_heads
