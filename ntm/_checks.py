"""What a person is told who hands a mechanism the wrong thing.

The checks look at types and shapes, never at values: they cost nothing on the device and vanish
under ``torch.compile``.  Every message names the argument, what it got and what it needs.
"""

from typing import cast

from torch import Tensor


def require_floating(**tensors: object) -> None:
    """Raise ``TypeError`` for the first argument that is not a floating-point tensor."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: got {type(tensor).__name__}, needs a torch.Tensor")
        if not tensor.is_floating_point():
            raise TypeError(f"{name}: got {tensor.dtype}, needs a floating-point tensor")


def require_axes(name: str, tensor: Tensor, axes: str) -> None:
    """Raise ``ValueError`` unless ``tensor`` has the dimensions named in ``axes``, none empty."""
    needed = axes.split()
    if tensor.dim() < len(needed) or 0 in tensor.shape[tensor.dim() - len(needed) :]:
        raise ValueError(
            f"{name}: got shape {tuple(tensor.shape)}, needs (…, {', '.join(needed)}), "
            "each at least 1"
        )


def require_shape(name: str, tensor: Tensor, shape: tuple[int, ...], because: str) -> None:
    """Raise ``ValueError`` unless ``tensor`` has this ``shape``; ``because`` says what set it."""
    if tuple(tensor.shape) != shape:
        raise ValueError(
            f"{name}: got shape {tuple(tensor.shape)}, needs {shape} to match {because}"
        )


def require_heads(name: str, tensor: Tensor, memory: Tensor, size: int) -> bool:
    """Return whether ``tensor`` is ``(…, H, size)``, for H heads on one ``memory`` ``(…, N, W)``.

    Raises ``ValueError`` if it is neither that nor ``(…, size)``.
    """
    batch, shape = tuple(memory.shape[:-2]), tuple(tensor.shape)
    has_heads = tensor.dim() == memory.dim() and shape[-2] > 0
    heads = shape[-2:-1] if has_heads else ()
    if shape != (*batch, *heads, size):
        several = ", ".join(map(str, (*batch, "heads", size)))
        raise ValueError(
            f"{name}: got shape {shape}, needs {(*batch, size)} or ({several}) to match "
            f"{describe('memory', memory)}"
        )
    return has_heads


def per_weighting(name: str, value: Tensor | float, weighting: Tensor) -> Tensor | float:
    """Return a head's scalar in a shape that multiplies ``weighting`` ``(…, N)``.

    A number or a tensor without dimensions is one value for all weightings; ``(…)`` and ``(…, 1)``
    hold one value for each.  Anything else raises ``ValueError`` or ``TypeError``.
    """
    if isinstance(value, float) or type(value) is int:
        return value
    require_floating(**{name: value})
    value = cast(Tensor, value)
    leading, shape = tuple(weighting.shape[:-1]), tuple(value.shape)
    if shape in ((), (*leading, 1)):
        return value
    if shape == leading:
        return value.unsqueeze(-1)
    raise ValueError(
        f"{name}: got shape {shape}, needs {leading}, {(*leading, 1)} or a number to match "
        f"{describe('weighting', weighting)}"
    )


def describe(name: str, tensor: Tensor) -> str:
    """Return the name of an argument with its shape, for the end of a message."""
    return f"{name} of shape {tuple(tensor.shape)}"
