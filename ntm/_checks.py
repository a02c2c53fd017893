"""What a person is told who hands a mechanism the wrong thing.

The checks look at types and shapes, never at values: they cost nothing on the device
and vanish under ``torch.compile``.  Every message names the argument, what it got and
what it needs.
"""

from torch import Tensor


def require_floating(**tensors: object) -> None:
    """Raise ``TypeError`` for the first that is not a floating-point tensor."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise TypeError(f"{name}: got {kind}, needs a torch.Tensor")
        if not tensor.is_floating_point():
            kind = str(tensor.dtype)
            raise TypeError(f"{name}: got {kind}, needs a floating-point tensor")


def require_whole(least: int, **numbers: object) -> None:
    """Raise for the first that is not a whole number, or is less than ``least``."""
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{name}: got {number!r}, needs a whole number")
        if number < least:
            raise ValueError(f"{name}: got {number}, needs at least {least}")


def require_axes(name: str, tensor: Tensor, axes: str) -> None:
    """Raise ``ValueError`` unless the last dimensions are those in ``axes``, none 0."""
    needed = axes.split()
    shape = tuple(tensor.shape)
    if len(shape) < len(needed) or 0 in shape[-len(needed) :]:
        needs = f"(…, {', '.join(needed)}), each at least 1"
        raise ValueError(f"{name}: got shape {shape}, needs {needs}")


def require_shape(
    name: str, tensor: Tensor, shape: tuple[int, ...], because: str
) -> None:
    """Raise ``ValueError`` unless the shape is this; ``because`` says what set it."""
    got = tuple(tensor.shape)
    if got != shape:
        raise ValueError(f"{name}: got shape {got}, needs {shape} to match {because}")


def require_heads(name: str, tensor: Tensor, memory: Tensor, size: int) -> bool:
    """Return whether ``tensor`` is ``(…, H, size)``: H heads on one ``(…, N, W)``.

    Raises ``ValueError`` if it is neither that nor ``(…, size)``.
    """
    batch, shape = tuple(memory.shape[:-2]), tuple(tensor.shape)
    has_heads = tensor.dim() == memory.dim() and shape[-2] > 0
    heads = shape[-2:-1] if has_heads else ()
    if shape != (*batch, *heads, size):
        several = ", ".join(map(str, (*batch, "heads", size)))
        raise ValueError(
            f"{name}: got shape {shape}, needs {(*batch, size)} or ({several}) "
            f"to match {describe('memory', memory)}"
        )
    return has_heads


def per_weighting(
    name: str, value: Tensor | float, weighting: Tensor
) -> Tensor | float:
    """Return a head's scalar in a shape that multiplies ``weighting`` ``(…, N)``.

    A number or a tensor without dimensions is one value for all weightings; ``(…)`` and
    ``(…, 1)`` hold one value for each.  Anything else raises ``ValueError`` or
    ``TypeError``.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    require_floating(**{name: value})
    assert isinstance(value, Tensor)  # for the type checker: the line above has looked
    leading, shape = tuple(weighting.shape[:-1]), tuple(value.shape)
    if shape in ((), (*leading, 1)):
        return value
    if shape == leading:
        return value.unsqueeze(-1)
    raise ValueError(
        f"{name}: got shape {shape}, needs {leading}, {(*leading, 1)} or a number "
        f"to match {describe('weighting', weighting)}"
    )


def describe(name: str, tensor: Tensor) -> str:
    """Return the name of an argument with its shape, for the end of a message."""
    return f"{name} of shape {tuple(tensor.shape)}"
