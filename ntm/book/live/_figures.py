"""The live figures of addresses, memories and heads, as Python sees them."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import torch
import traitlets
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ntm import addressing, memory
from ntm.book import figures
from ntm.book.live._widget import (
    LiveFigure,
    Number,
    Numbers,
    Whole,
    compact,
    script,
    style,
)
from ntm.machine import NTM
from ntm.tasks import Batch

DRINKS = {
    "tea": [1.0, 0.0, 0.0, 0.1, 0.0],
    "milk": [0.0, 1.0, 0.0, 0.3, 0.0],
    "coffee": [0.0, 0.1, 1.0, 0.0, 0.0],
    "lemonade": [0.1, 0.0, 0.0, 0.8, 1.0],
}
TASTES = ["tea", "milk", "coffee", "sweet", "fizz"]

PEOPLE = {
    "cousin": [0.9, 0.1, 0.8, -0.2],
    "brother": [-0.3, 0.9, 0.1, 0.7],
    "classmate": [0.4, 0.7, 0.5, 0.3],
    "neighbour": [-0.8, -0.4, 0.2, 0.1],
    "teacher": [0.2, -0.6, -0.4, 0.8],
    "friend": [0.6, -0.7, 0.3, -0.6],
}
VOICE = ["pitch", "pace", "laughter", "accent"]

STRONGEST, SHARPEST = 50.0, 20.0
"""The ends of the sliders of key strength and exponent."""

BORDER_STEPS = 300
"""Of the head in the figure of the border."""


def _named(
    memory: Tensor | None,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    example: tuple[dict[str, list[float]], list[str]],
) -> dict[str, Any]:
    """Return a memory ``(N, W)`` and its names: the example's, or numbers."""
    if memory is None:
        table, columns = example[0], example[1] if columns is None else columns
        # In double precision from the start, as the browser computes.
        memory = torch.tensor(list(table.values()), dtype=torch.float64)
        rows = list(table) if rows is None else rows
    named: dict[str, Any] = {"memory": memory}
    for name, given, size in zip(
        ("rows", "columns"), (rows, columns), memory.shape, strict=True
    ):
        names = [str(i) for i in range(size)] if given is None else list(given)
        if len(names) != size:
            raise traitlets.TraitError(
                f"{name}: got {len(names)} names, needs {size}, as the memory has"
            )
        named[name] = names
    return named


class Memory(LiveFigure):
    """A small memory with a weighting to drag: what is read, or what a write leaves.

    ``weighting``, ``erase_vector`` and ``add_vector`` can be set and move the sliders;
    ``read_vector``, ``erased`` and ``written`` are what `ntm.memory` computes for what
    is on the screen.

    Args:
        parts: ``"read"`` or ``"write"``.
        rows, columns: names of locations and components; numbers if left out.
        memory: ``(N, W)``; the drinks if left out.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
    """

    _esm = script("memory.js")
    _css = style()

    parts = traitlets.Enum(["read", "write"], "read").tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    memory = Numbers(2, -100, 100)
    weighting = Numbers(1, 0, 1, is_weighting=True)
    erase_vector = Numbers(1, 0, 1)
    add_vector = Numbers(1, -1, 1)

    def __init__(
        self,
        parts: Literal["read", "write"] = "read",
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        memory: Tensor | None = None,
        **changes: Any,
    ):
        named = _named(memory, rows, columns, (DRINKS, TASTES))
        locations, width = named["memory"].shape
        is_write = parts == "write"
        given = {
            "weighting": [0.5, 0.5] + [0.0] * (locations - 2),
            "erase_vector": [float(is_write and c < 2) for c in range(width)],
            "add_vector": [0.0] * (width - 1) + [0.9 * is_write],
        }
        super().__init__(
            parts=parts,
            **(named | given | changes),
        )

    @property
    def read_vector(self) -> Tensor:
        """What is read, ``(W,)``."""
        return memory.read(self.memory, self.weighting)

    @property
    def erased(self) -> Tensor:
        """The memory after the erase, ``(N, W)``."""
        return memory.erase(self.memory, self.weighting, self.erase_vector)

    @property
    def written(self) -> Tensor:
        """The memory after the add, ``(N, W)``."""
        return memory.add(self.erased, self.weighting, self.add_vector)

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        if self.parts == "read":
            picture, axes = figures.panels(3, 5.2, height_ratios=[4, 2.5, 1])
            colour, last = "read", self.read_vector.unsqueeze(0)
            figures.memory_image(axes[2], last, "read vector", ["r"], self.columns)
        else:
            picture, axes = figures.panels(4, 8.4, height_ratios=[4, 2.5, 4, 4])
            colour = "write"
            for ax, rows, title in zip(
                axes[2:], (self.erased, self.written), ("erased", "added"), strict=True
            ):
                figures.memory_image(ax, rows, title, self.rows, self.columns)
        figures.memory_image(axes[0], self.memory, "memory", self.rows, self.columns)
        figures.weighting_bars(axes[1], self.weighting, colour, "weighting", self.rows)
        return picture

    @traitlets.validate("weighting", "erase_vector", "add_vector")
    def _fits(self, proposal: Any) -> Tensor:
        name: str = proposal["trait"].name
        value: Tensor = proposal["value"]
        locations, width = self.memory.shape
        if name == "weighting":
            self.require(name, value, locations, "location")
        else:
            self.require(name, value, width, "component")
        return value


class Address(LiveFigure):
    """The making of an address, stage by stage, as far as ``stages`` says.

    ``key``, ``strength``, ``previous``, ``gate``, ``kernel`` and ``exponent`` can be
    set and move the sliders; ``address`` and its last shown stage, ``weighting``, are
    what `ntm.addressing` computes for what is on the screen.

    Args:
        stages: ``"content"``, ``"gate"``, ``"shift"`` or ``"sharpen"``.
        rows, columns: names of locations and components; numbers if left out.
        memory: ``(N, W)``; voices of people if left out.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
    """

    _esm = script("address.js")
    _css = style("address.css")

    stages = traitlets.Enum(["content", "gate", "shift", "sharpen"]).tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    strongest = traitlets.Float(STRONGEST, read_only=True).tag(sync=True)
    sharpest = traitlets.Float(SHARPEST, read_only=True).tag(sync=True)
    memory = Numbers(2, -100, 100)
    key = Numbers(1, -1, 1)
    strength = Number(5.0, 0.0, STRONGEST)
    previous = Numbers(1, 0, 1, is_weighting=True)
    gate = Number(0.5, 0.0, 1.0)
    kernel = Numbers(1, 0, 1, is_weighting=True)
    exponent = Number(3.0, 1.0, SHARPEST)

    def __init__(
        self,
        stages: Literal["content", "gate", "shift", "sharpen"] = "sharpen",
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        memory: Tensor | None = None,
        **changes: Any,
    ):
        named = _named(memory, rows, columns, (PEOPLE, VOICE))
        last = len(named["memory"]) - 1
        given = {
            "key": [0.3, 0.6, 0.5, 0.3] if memory is None else memory[0].clamp(-1, 1),
            "previous": [float(i == last - 1) for i in range(last + 1)],
            "kernel": [0.1, 0.1, 0.8],
        }
        super().__init__(
            stages=stages,
            **(named | given | changes),
        )

    @property
    def address(self) -> addressing.Address:
        """All four stages, each ``(N,)``."""
        return addressing.address(
            self.memory,
            self.previous,
            self.key,
            self.strength,
            self.gate,
            self.kernel,
            self.exponent,
        )

    @property
    def weighting(self) -> Tensor:
        """The last stage that is shown, ``(N,)``."""
        return self.address[self._shown - 1]

    @property
    def _shown(self) -> int:
        return ["content", "gate", "shift", "sharpen"].index(self.stages) + 1

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        shown = self.address[: self._shown]
        return figures.address_bars(shown, [name[:9] for name in self.rows])

    @traitlets.validate("key", "previous", "kernel")
    def _fits(self, proposal: Any) -> Tensor:
        name: str = proposal["trait"].name
        value: Tensor = proposal["value"]
        locations, width = self.memory.shape
        if name == "key":
            self.require(name, value, width, "component")
        elif name == "previous":
            self.require(name, value, locations, "location")
        elif len(value) not in (3, 5):
            raise traitlets.TraitError(f"kernel: got {len(value)} taps, needs 3 or 5")
        return value

    def __repr__(self) -> str:
        return f'Address(stages="{self.stages}")'


class Walk(LiveFigure):
    """A focus that is shifted again and again, with and without sharpening.

    ``steps``, ``kernel`` and ``exponent`` can be set and move the sliders;
    ``blurred`` and ``weighting`` are what `ntm.addressing` makes of them.

    Args:
        locations: N.
        first: where the focus begins.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
    """

    _esm = script("walk.js")
    _css = style()

    locations = traitlets.Int(24).tag(sync=True)
    first = traitlets.Int(2).tag(sync=True)
    longest = traitlets.Int(50, read_only=True).tag(sync=True)
    steps = Whole(20, "longest")
    kernel = Numbers(1, 0, 1, is_weighting=True)
    exponent = Number(1.5, 1.0, 5.0)

    def __init__(self, **changes: Any):
        super().__init__(**({"kernel": [0.1, 0.1, 0.8]} | changes))

    @property
    def weighting(self) -> Tensor:
        """The weighting after these steps, each of them sharpened, ``(N,)``."""
        return self._film(self.exponent)[self.steps]

    @property
    def blurred(self) -> Tensor:
        """The weighting after these steps of shifts alone, ``(N,)``."""
        return self._film(None)[self.steps]

    def _film(self, exponent: float | None) -> Tensor:
        film = [torch.eye(self.locations, dtype=torch.float64)[self.first]]
        for _ in range(self.longest):
            step = addressing.shift(film[-1], self.kernel)
            film.append(
                step if exponent is None else addressing.sharpen(step, exponent)
            )
        return torch.stack(film)

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        picture, axes = figures.panels(2, 5.0, sharex=True)
        titles = {"shifted": "shift alone", "sharpened": "shift, then sharpen"}
        for ax, (colour, title), exponent in zip(
            axes, titles.items(), (None, self.exponent), strict=True
        ):
            figures.weightings_image(ax, self._film(exponent), colour, title)
        axes[1].set_xlabel("step")
        return picture

    @traitlets.validate("kernel")
    def _fits(self, proposal: Any) -> Tensor:
        kernel: Tensor = proposal["value"]
        self.require("kernel", kernel, 3, "offset from −1 to 1")
        return kernel


class Border(LiveFigure):
    """A head that leaves a part of its weight behind in each step, and sharpens.

    ``leak`` and ``exponent`` can be set and move the sliders; ``most_leak`` is what the
    exponent bears, and ``film`` what `ntm.addressing` makes of both.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
    """

    _esm = script("border.js")
    _css = style("border.css")

    leak = Number(0.2, 0.0, 0.5)
    exponent = Number(2.0, 1.0, 5.0)

    @property
    def most_leak(self) -> float:
        """The largest leak with which a head keeps its place for ever."""
        if self.exponent == 1:
            return 0.0
        power = self.exponent ** (self.exponent / (self.exponent - 1))
        return float(1 / (1 + power / (self.exponent - 1)))

    @property
    def ratios(self) -> Tensor:
        """The weight behind divided by the weight due, step by step while it is ≤ 1."""
        x = [0.0]
        while len(x) <= BORDER_STEPS and x[-1] <= 1:
            x.append((x[-1] + self.leak / (1 - self.leak)) ** self.exponent)
        return torch.tensor(x, dtype=torch.float64)

    @property
    def film(self) -> Tensor:
        """The weightings of 300 steps and of the start, ``(301, 400)``."""
        kernel = torch.tensor([0.0, self.leak, 1 - self.leak], dtype=torch.float64)
        weightings = [torch.eye(400, dtype=torch.float64)[0]]
        for _ in range(BORDER_STEPS):
            moved = addressing.shift(weightings[-1], kernel)
            weightings.append(addressing.sharpen(moved, self.exponent))
        return torch.stack(weightings)

    @property
    def due(self) -> Tensor:
        """The weight on the row that is due, at the start and after each step."""
        return self.film.diagonal()

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        picture, axes = figures.panels(2, 5.0, height_ratios=[3, 2])
        x = self.ratios
        grid = torch.linspace(0, 1.2, 61, dtype=torch.float64)
        curve = (grid + self.leak / (1 - self.leak)) ** self.exponent
        axes[0].plot(grid, grid, color=figures.COLOURS["previous"], linewidth=1)
        axes[0].plot(grid, curve, color=figures.COLOURS["shifted"])
        web = x.repeat_interleave(2)
        axes[0].plot(web[:-1], web[1:], color=figures.COLOURS["sharpened"])
        title = f"leak {self.leak:.2f}, exponent {self.exponent:.2f}"
        axes[0].set(xlabel="ratio x", ylabel="x′", ylim=(0, 1.2), title=title)
        axes[1].plot(self.film.amax(1), color=figures.COLOURS["previous"], linewidth=1)
        axes[1].plot(self.due, color=figures.COLOURS["sharpened"])
        axes[1].set(
            xlabel="step",
            ylabel="weight",
            ylim=(0, 1.02),
            title="thick: on the due row; thin: the largest",
        )
        return picture


class Trace(LiveFigure):
    """A trained machine at work on one sequence, step by step.

    ``step`` can be set and moves the slider; ``write_weighting``, ``read_weighting``
    and ``memory`` are those of the machine at that step.

    Args:
        machine: with one head of each kind.
        sequence: a batch of one sequence.
        memory_locations: N, small enough to be seen.
        doing: what the machine does, as in "a trained machine copies".
        says: what happens at each step, in words; those of a copy if left out.
        delimiter: whether a delimiter comes in before the answer, to go to by a button.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
        ValueError: there are not as many words as steps.
    """

    _esm = script("trace.js")
    _css = style()

    # As text: a notebook would store lists with a line for each number.
    recorded = traitlets.Unicode().tag(sync=True)
    length = traitlets.Int().tag(sync=True)
    last = traitlets.Int().tag(sync=True)
    doing = traitlets.Unicode().tag(sync=True)
    step = Whole(0, "last")

    def __init__(
        self,
        machine: NTM,
        sequence: Batch,
        memory_locations: int,
        doing: str = "copies",
        says: Sequence[str] | None = None,
        delimiter: bool = True,
        **changes: Any,
    ):
        with torch.no_grad():
            begin = machine.initial_state(1, memory_locations)
            logits, _, trace = machine.trace(sequence.inputs, begin)
        asked = sequence.mask[:, 0]
        shown = {
            "inputs": sequence.inputs[:, 0],
            "outputs": logits[:, 0].sigmoid() * asked.unsqueeze(-1),
            "adds": trace.params.change.add_vector[:, 0, 0],
            "writes": trace.write.weighting[:, 0, 0],
            "reads": trace.read.weighting[:, 0, 0],
            "read_vectors": trace.reads[:, 0, 0],
        }
        length = int((asked == 0).sum()) - 1  # -1 if there is no delimiter to go to
        if says is None:
            bits = machine.output_size
            says = [
                *(
                    f"vector {t + 1} of {length} comes in, {_word(vector[:bits])}"
                    for t, vector in enumerate(shown["inputs"][:length])
                ),
                "the delimiter comes in",
                *(
                    f"vector {t + 1} of {length} goes out, {_word(vector)}"
                    for t, vector in enumerate(shown["outputs"][length + 1 :])
                ),
            ]
        if len(says) != len(asked):
            raise ValueError(f"says: got {len(says)}, needs {len(asked)}, one a step")
        super().__init__(
            recorded=json.dumps(
                {name: compact(values) for name, values in shown.items()}
                | {
                    "changes": _changes(compact(trace.memory[:, 0])),
                    "says": list(says),
                },
                separators=(",", ":"),
            ),
            length=length if delimiter else -1,
            last=len(asked) - 1,
            doing=doing,
            **changes,
        )

    @property
    def write_weighting(self) -> Tensor:
        """Where the write head is at this step, ``(N,)``."""
        return self._at_step("writes")

    @property
    def read_weighting(self) -> Tensor:
        """Where the read head is at this step, ``(N,)``."""
        return self._at_step("reads")

    @property
    def memory(self) -> Tensor:
        """The memory after this step's write, ``(N, W)``."""
        rows: dict[int, list[float]] = {}
        for changed in json.loads(self.recorded)["changes"][: self.step + 1]:
            rows |= dict(changed)
        return torch.tensor([rows[location] for location in sorted(rows)])

    def _at_step(self, name: str) -> Tensor:
        return torch.tensor(json.loads(self.recorded)[name][self.step])

    def picture(self) -> Picture:
        """Return what is on the screen as a still picture."""
        recorded = json.loads(self.recorded)
        panels = ("inputs", "adds", "writes", "reads", "outputs")
        picture, axes = figures.panels(len(panels), 7.0, sharex=True)
        titles = ("input", "add vector", "write weighting", "read weighting", "output")
        for ax, name, title in zip(axes, panels, titles, strict=True):
            values = torch.tensor(recorded[name]).numpy()
            ax.imshow(values.T, cmap="Greys", aspect="auto", interpolation="nearest")
            ax.set(title=title, yticks=[])
            ax.spines[:].set_visible(True)
        axes[-1].set_xlabel("step")
        return picture


def _changes(memory: list[list[list[float]]]) -> list[list[tuple[int, list[float]]]]:
    """Return of each step the rows that are others than before, and where they are.

    A head writes to few of them, so this is a fraction of them all.
    """
    before = [[], *memory]
    return [
        [(i, row) for i, row in enumerate(now) if row not in then[i : i + 1]]
        for then, now in zip(before, memory, strict=False)
    ]


def _word(vector: Tensor) -> str:
    """Return a vector of bits as a word."""
    return "".join("1" if x > 0.5 else "0" for x in vector.tolist())
