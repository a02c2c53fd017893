"""The pictures that several chapters share, all in one look.

One width (a page's column, and legible on a phone), one colour for one thing in the
whole book, dark ink on a transparent ground: the pages turn it light in the dark theme.
Each function draws into axes that it is given, so that chapters can combine them.
"""

import statistics
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ntm.training.trainer import Evaluation

WIDTH = 5.6
"""Inches: 538 pixels on a page, and an 11-point font still reads at 358 on a phone."""

COLOURS = {
    "memory": "#0b6aa2",
    "key": "#a3195b",
    "previous": "#6b7280",
    "content": "#0b6aa2",
    "gated": "#7b4fa3",
    "shifted": "#bd4a0a",
    "sharpened": "#00795a",
    "read": "#8a6100",
    "write": "#a3195b",
}
"""Each thing's colour; all have a contrast of 4.5 or more on white."""

SIGNED = LinearSegmentedColormap.from_list(
    "signed", [COLOURS["shifted"], "#ffffff", COLOURS["memory"]]
)
"""Of numbers of both signs, white at 0."""

STAGES = ("content", "gated", "shifted", "sharpened")


def use_style() -> None:
    """Set matplotlib, and the notebook it may run in, to the look of the book."""
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.0),
            "figure.dpi": 96,
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "font.size": 11,
            "legend.frameon": False,
            "legend.fontsize": 11,
            "lines.linewidth": 2,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
        }
    )
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    # The margins are part of the fixed width, so nothing may crop them.
    set_matplotlib_formats("retina", bbox_inches=None)  # type: ignore[no-untyped-call]


def panels(count: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of the book's width with ``count`` axes, one above the other."""
    figure, axes = plt.subplots(
        count, 1, figsize=(WIDTH, height), squeeze=False, **options
    )
    return figure, list(axes[:, 0])


def memory_image(
    axes: Axes,
    memory: Tensor,
    title: str = "",
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    decimals: int = 1,
) -> None:
    """Draw a memory ``(N, W)`` as a heat map with its numbers, a location a row."""
    values = memory.detach().double().numpy()
    largest = max(float(abs(values).max()), 1e-12)
    axes.imshow(values, cmap=SIGNED, vmin=-largest, vmax=largest, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            ink = _ink_on(SIGNED(0.5 + 0.5 * value / largest))
            text = f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")
            axes.text(j, i, text, ha="center", va="center", color=ink)
    axes.set_xticks(range(values.shape[1]), columns or _numbers(values.shape[1]))
    axes.set_yticks(range(values.shape[0]), rows or _numbers(values.shape[0]))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def weighting_bars(
    axes: Axes,
    weighting: Tensor,
    colour: str,
    title: str = "",
    names: Sequence[str] | None = None,
    top: float = 1.0,
) -> None:
    """Draw a weighting ``(N,)`` as bars, one a location, up to ``top``."""
    values = weighting.detach().double().tolist()
    axes.bar(range(len(values)), values, color=COLOURS.get(colour, colour), width=0.7)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top])
    spec = axes.get_subplotspec()
    if spec is None or spec.is_first_col():
        axes.set_ylabel("weight")
    axes.set_xticks(range(len(values)), names or _numbers(len(values)))
    axes.tick_params(axis="x", length=0)
    axes.set_title(title)


def weightings_image(
    axes: Axes, weightings: Tensor, colour: str, title: str = ""
) -> None:
    """Draw weightings ``(T, N)`` over time: a step a column, a location a row."""
    colours = LinearSegmentedColormap.from_list(
        "weight", ["#ffffff", COLOURS.get(colour, colour)]
    )
    image = weightings.detach().double().numpy().T
    drawn = axes.imshow(
        image, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    axes.figure.colorbar(drawn, ax=axes, label="weight", ticks=[0, 1])
    axes.spines[:].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("location")
    axes.set_title(title)


def learning_curves(
    axes: Axes,
    curve: Sequence[Evaluation],
    colour: str,
    label: str = "",
    value: str = "bits",
) -> None:
    """Draw the curves of all seeds, thin, and their median, thick.

    With four seeds or more there is a band, too: between the quartiles, where half of
    the seeds are.  ``value`` is ``"bits"``, ``"wrong_bits"`` or, where there is
    an optimum, ``"excess"``.
    """
    ink = COLOURS.get(colour, colour)
    by_seed: dict[int, list[tuple[int, float]]] = {}
    by_time: dict[int, list[float]] = {}
    for row in curve:
        y = getattr(row, value)
        by_seed.setdefault(row.seed, []).append((row.sequences, y))
        by_time.setdefault(row.sequences, []).append(y)
    for points in by_seed.values():
        axes.plot(*zip(*points, strict=True), color=ink, linewidth=0.5, alpha=0.3)
    times = sorted(by_time)
    if all(len(values) >= 4 for values in by_time.values()):
        bands = [statistics.quantiles(by_time[time], n=4) for time in times]
        low, _, high = zip(*bands, strict=True)
        axes.fill_between(times, low, high, color=ink, alpha=0.25, linewidth=0)
    medians = [statistics.median(by_time[time]) for time in times]
    axes.plot(times, medians, color=ink, label=label)


def address_bars(
    stages: Sequence[Tensor], names: Sequence[str] | None = None, start: int = 1
) -> Figure:
    """Return a figure of the stages of an address, one above the other, numbered."""
    figure, axes = panels(len(stages), 1.25 * len(stages) + 0.3, sharex=True)
    for number, (ax, stage, weighting) in enumerate(
        zip(axes, STAGES, stages, strict=False), start=start
    ):
        weighting_bars(ax, weighting, stage, f"{number}  {stage}", names)
    return figure


def address_diagram() -> Figure:
    """Return the block diagram of an address: what goes in, and the four stages."""
    figure, (ax,) = panels(1, 4.3)
    ax.set(xlim=(0, 10), ylim=(-0.5, 10.4))
    ax.axis("off")
    blocks = [
        (
            "content",
            "content\nweighting",
            ["memory $M_t$", "key $k_t$, strength $β_t$"],
        ),
        ("gated", "interpolation", ["previous $w_{t-1}$", "gate $g_t$"]),
        ("shifted", "shift", ["kernel $s_t$"]),
        ("sharpened", "sharpening", ["exponent $γ_t$"]),
    ]
    results = ["$w^c_t$", "$w^g_t$", r"$\tilde{w}_t$", "$w_t$"]
    for index, ((stage, name, inputs), result) in enumerate(
        zip(blocks, results, strict=True)
    ):
        y = 8.6 - 2.6 * index
        box = FancyBboxPatch(
            (4.6, y),
            3.2,
            1.5,
            "round,pad=0.05,rounding_size=0.25",
            color=COLOURS[stage],
        )
        ax.add_patch(box)
        ax.text(6.2, y + 0.75, name, color="white", ha="center", va="center")
        for line, text in enumerate(inputs):
            height = y + 0.75 + 0.35 * (len(inputs) - 1) - 0.7 * line
            ax.text(3.5, height, text, ha="right", va="center")
            ax.add_patch(_arrow((3.6, height), (4.5, height)))
        ax.add_patch(_arrow((6.2, y - 0.05), (6.2, y - 1.0)))
        ax.text(6.5, y - 0.55, result, va="center", color=COLOURS[stage])
    ax.plot([6.2, 0.4, 0.4], [-0.3, -0.3, 7.1], color="black", linewidth=1)
    ax.add_patch(_arrow((0.4, 7.1), (1.5, 7.1)))
    ax.text(0.7, 0.1, "one step later", va="center")
    return figure


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> FancyArrowPatch:
    return FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=12, color="black"
    )


def _ink_on(colour: Any) -> str:
    """Return black or white, whichever has the higher contrast on ``colour``."""
    red, green, blue = (channel**2.2 for channel in to_rgb(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if luminance > 0.179 else "white"


def _numbers(count: int) -> list[str]:
    return [str(index) for index in range(count)]
