"""What all live figures share: numbers within bounds, colours, the still picture."""

import base64
import io
from collections.abc import Sized
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ntm.book.figures import COLOURS

FORMAT = 1
"""Of the state that a notebook stores: a page shows no figure of another format."""

HERE = Path(__file__).parent


class Number(traitlets.Float[float, Any]):
    """A number within bounds."""

    def __init__(self, default: float, low: float, high: float):
        self.low, self.high = low, high
        super().__init__(default)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> float:
        """Return the number, or refuse it and say what is possible."""
        number = value if isinstance(value, int | float) else float("nan")
        if not self.low <= number <= self.high:
            raise traitlets.TraitError(
                f"{self.name}: got {value!r}, needs a number from {self.low:g} to "
                f"{self.high:g}"
            )
        return float(number)


class Whole(traitlets.Int[int, Any]):
    """A whole number from 0 to another trait's value."""

    def __init__(self, default: int, up_to: str):
        self.up_to = up_to
        super().__init__(default)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> int:
        """Return the number, or refuse it and say what is possible."""
        high = getattr(obj, self.up_to)
        if isinstance(value, bool) or not isinstance(value, int | float):
            number = -1
        else:
            number = int(value) if value == int(value) else -1
        if not 0 <= number <= high:
            raise traitlets.TraitError(
                f"{self.name}: got {value!r}, needs a whole number from 0 to {high}"
            )
        return number


class Numbers(traitlets.TraitType[Tensor, Any]):
    """A tensor of numbers within bounds; lists of numbers become one.

    The browser gets it as lists.  With ``is_weighting`` they also have to sum to 1.
    """

    def __init__(self, dims: int, low: float, high: float, is_weighting: bool = False):
        self.dims, self.low, self.high = dims, low, high
        self.is_weighting = is_weighting
        super().__init__()
        self.tag(sync=True, to_json=_to_json, from_json=_from_json)

    def validate(self, obj: Any, value: Any) -> Tensor:
        """Return the tensor, or refuse it and say what is possible."""
        try:
            numbers = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            numbers = torch.empty(0, dtype=torch.float64)
        if numbers.dim() != self.dims or 0 in numbers.shape:
            raise traitlets.TraitError(
                f"{self.name}: got {value!r}, needs {self.dims} dimension(s) of numbers"
            )
        if not ((numbers >= self.low) & (numbers <= self.high)).all():
            got = f"numbers from {numbers.min():g} to {numbers.max():g}"
            raise traitlets.TraitError(
                f"{self.name}: got {got}, needs {self.low:g} to {self.high:g}"
            )
        if self.is_weighting and abs(float(numbers.sum()) - 1) > 1e-6:
            raise traitlets.TraitError(
                f"{self.name}: sums to {float(numbers.sum()):g}, needs to sum to 1"
            )
        return numbers


def _to_json(value: Tensor, widget: Any) -> Any:
    return value.tolist()


def _from_json(value: Any, widget: Any) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


class LiveFigure(anywidget.AnyWidget):
    """A widget whose JavaScript also runs in a page without a kernel."""

    format = traitlets.Int(FORMAT, read_only=True).tag(sync=True)

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        raise NotImplementedError

    def require(self, name: str, value: Sized, needed: int, what: str) -> None:
        """Raise ``TraitError`` unless a value has as many numbers as needed."""
        if len(value) != needed:
            raise traitlets.TraitError(
                f"{name}: got {len(value)} numbers, needs {needed}, one for each {what}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(
        self, **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle
        # For paper, for pages without scripts, for whatever cannot show widgets.
        return data | {"text/plain": repr(self), "image/png": self._png()}, metadata

    def _png(self) -> str:
        import matplotlib.pyplot as plt

        from ntm.book.figures import use_style

        # What the notebook's backend sets when it starts is not to be undone below.
        plt.close(plt.figure())
        with plt.rc_context(), plt.ioff():
            use_style()
            picture = self.picture()
            file = io.BytesIO()
            picture.savefig(file, dpi=192, metadata={"Software": None})
            plt.close(picture)
        return base64.b64encode(file.getvalue()).decode()


def script(*names: str) -> str:
    """Return the JavaScript of a figure, as one module that needs no other."""
    parts = ("arithmetic.js", "kit.js", *names)
    return "\n".join((HERE / part).read_text("utf-8") for part in parts)


def style(*names: str) -> str:
    """Return the style sheet of a figure, with the book's colours, light and dark."""
    light = "\n".join(f"  --ntm-{name}: {code};" for name, code in COLOURS.items())
    dark = "\n".join(
        f"  --ntm-{name}: {on_dark(code)};" for name, code in COLOURS.items()
    )
    parts = ("figures.css", *names)
    sheet = "\n".join((HERE / part).read_text("utf-8") for part in parts)
    return (
        f".ntm-figure {{\n{light}\n  --ntm-ground: #fff;\n  --ntm-focus: #0b6aa2;\n}}\n"
        ':is(html[data-theme="dark"], [data-jp-theme-light="false"]) .ntm-figure {\n'
        f"{dark}\n  --ntm-ground: #14181e;\n  --ntm-focus: #8fd0ff;\n}}\n{sheet}"
    )


def on_dark(code: str) -> str:
    """Return a colour as the pages turn it for the dark theme: inverted, hue kept.

    That is ``invert(1) hue-rotate(180deg)``, as they do with pictures.
    """
    red, green, blue = (1 - int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    # The filter effects specification's matrix for a hue turned half round.
    turned = (
        -0.574 * red + 1.430 * green + 0.144 * blue,
        0.426 * red + 0.430 * green + 0.144 * blue,
        0.426 * red + 1.430 * green - 0.856 * blue,
    )
    return "#" + "".join(f"{round(255 * min(1, max(0, c))):02x}" for c in turned)


def compact(values: Tensor, decimals: int = 3) -> Any:
    """Return numbers as lists, rounded so that they are short and alike everywhere."""
    rounded = (values.double() * 10**decimals).round() / 10**decimals
    return (rounded + 0.0).tolist()  # no −0
