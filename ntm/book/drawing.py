"""The machine, drawn once: a chapter shows the drawing with its own part lit.

It stands in the page as SVG, so that its ink is the page's, light or dark.
"""

import math
from html import escape

Point = tuple[float, float]

COLOURS = {"write": "#c0508c", "read": "#a07a1a"}
"""Of the two heads: the book's hues, between its light and its dark ink."""

DOES = {
    "input": "the input x comes from outside",
    "controller": "the controller gives h",
    "output": "the output y is made of h and of what is read",
    "orders": "from h come the orders for both heads",
    "write head": "the write head attends to locations",
    "read head": "the read head attends to locations",
    "content": "each head compares its key with the rows of the memory",
    "place": "each head gets its own weighting of the step before",
    "write": "the write head erases and adds",
    "memory": "the memory has a row for each location",
    "read": "what is read goes to the output, and to the controller one step later",
}
"""The parts that can be lit, each with what it does."""


def _arrow(*points: Point, kind: str = "") -> str:
    """Return a line through points, with a head at the last; ``kind`` is its class."""
    (x0, y0), (x1, y1) = points[-2:]
    length = math.hypot(x1 - x0, y1 - y0)
    across, down = (x1 - x0) / length, (y1 - y0) / length
    back = (x1 - 9 * across, y1 - 9 * down)
    sides = [(back[0] + s * down, back[1] - s * across) for s in (4.5, -4.5)]
    head = _path([*sides, points[-1]]) + "z"
    line = _path([*points[:-1], back])
    return f'<path d="{line}" class="{kind}"/><path d="{head}" class="tip {kind}"/>'


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    size = f'width="{width}" height="{height}"'
    return f'<rect x="{x}" y="{y}" {size} rx="6" class="{kind}"/>'


PARTS = {
    "input": _arrow((165, 12), (165, 58)) + _text(157, 30, "input xₜ", "end"),
    "controller": _box(120, 60, 190, 52)
    + _text(215, 83, "controller")
    + _text(215, 102, "hₜ"),
    "output": _arrow((265, 60), (265, 10))
    + _arrow((412, 24), (267, 24), kind="read")
    + _text(257, 38, "yₜ output", "end"),
    "orders": _arrow((165, 112), (130, 163))
    + _arrow((265, 112), (300, 163))
    + _text(136, 140, "k β g s γ e a", "end")
    + _text(294, 140, "k β g s γ", "start"),
    "write head": _box(60, 165, 120, 40, "write") + _text(120, 190, "write head"),
    "read head": _box(250, 165, 120, 40, "read") + _text(310, 190, "read head"),
    "content": _arrow((160, 268), (160, 207), kind="thin")
    + _arrow((275, 268), (275, 207), kind="thin")
    + _text(217, 243, "K[k, M(i)]"),
    "place": _arrow((60, 176), (34, 176), (34, 196), (58, 196))
    + _text(4, 166, "wₜ₋₁", "start")
    + _arrow((370, 176), (396, 176), (396, 196), (372, 196))
    + _text(389, 166, "wₜ₋₁"),
    "write": _arrow((100, 205), (100, 266), kind="write")
    + _text(92, 240, "wₜ, e, a", "end"),
    "memory": _box(80, 268, 260, 100)
    + '<path d="M80 288H340M80 308H340M80 328H340M80 348H340"/>'
    + _text(210, 388, "memory Mₜ, a location a row"),
    "read": _arrow((320, 205), (320, 266), kind="read")
    + _text(328, 240, "wₜ", "start")
    + '<path d="M340 318H412V24" class="read"/>'
    + _arrow((412, 86), (312, 86), kind="read")
    + _text(404, 338, "rₜ", "end")
    + _text(360, 106, "rₜ₋₁"),
}
"""The ink of each part, in an SVG of 440 by 396."""

STYLE = f"""
.ntm-drawing {{ display: block; margin: 1rem auto; max-width: 34rem; width: 100%; }}
.ntm-drawing:has(.lit) {{ max-width: 21rem; }}
.ntm-drawing * {{ fill: none; stroke: currentColor; stroke-width: 1.8; }}
.ntm-drawing text {{ fill: currentColor; font: 15px sans-serif; stroke: none; }}
.ntm-drawing .thin {{ stroke-dasharray: 4 3; stroke-width: 1.2; }}
.ntm-drawing .tip {{ fill: currentColor; stroke: none; }}
.ntm-drawing .write {{ color: {COLOURS["write"]}; }}
.ntm-drawing .read {{ color: {COLOURS["read"]}; }}
.ntm-drawing .dim {{ opacity: 0.35; }}
.ntm-drawing .lit * {{ stroke-width: 3.2; }}
.ntm-drawing .lit text {{ font-weight: bold; }}
"""


class Drawing:
    """The machine with its wires, which a notebook shows.

    Args:
        lit: the parts to stress, of `PARTS`; all others are dimmed.  None: all alike.

    Raises:
        ValueError: there is no such part; says which there are.
    """

    def __init__(self, *lit: str):
        for part in lit:
            if part not in PARTS:
                raise ValueError(f"lit: got {part!r}, needs one of {', '.join(PARTS)}")
        self.lit = lit

    def svg(self, ink: str) -> str:
        """Return the drawing as an SVG file, in an ink: outside a page it has none."""
        size = (
            f'xmlns="http://www.w3.org/2000/svg" width="440" height="396" color="{ink}"'
        )
        return self._repr_html_().replace("<svg", f"<svg {size}", 1) + "\n"

    def _repr_html_(self) -> str:
        look = dict.fromkeys(PARTS, "dim" if self.lit else "")
        look |= dict.fromkeys(self.lit, "lit")
        ink = "".join(f'<g class="{look[name]}">{PARTS[name]}</g>' for name in PARTS)
        does = "; ".join(DOES[name] for name in self.lit or PARTS)
        label = escape(f"The machine{', in part' * bool(self.lit)}: {does}.")
        return (
            f'<svg class="ntm-drawing" viewBox="0 0 440 396" role="img" '
            f'aria-label="{label}"><style>{STYLE}</style>{ink}</svg>'
        )

    def __repr__(self) -> str:
        return f"Drawing({', '.join(map(repr, self.lit))})"
