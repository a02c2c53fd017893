"""A game: who plays is the controller, and sets what a head does at each step."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import traitlets
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ntm import addressing, memory
from ntm.book import figures
from ntm.book.live._figures import SHARPEST, STRONGEST
from ntm.book.live._widget import LiveFigure, Whole, script, style

KEYS = ("start mark", "input", "last read")
"""What a key may be: −1 everywhere, what comes in, or what was read a step before."""

BOUNDS = {
    "strength": (0.0, STRONGEST),
    "gate": (0.0, 1.0),
    "exponent": (1.0, SHARPEST),
    "erase": (0.0, 1.0),
    "add": (0.0, 1.0),
}
"""The settings that are a number, and from where to where they go."""

DEFAULTS: dict[str, Any] = {
    "key": KEYS[0],
    "strength": 1.0,
    "gate": 0.5,
    "kernel": [0.1, 0.8, 0.1],
    "exponent": 1.0,
    "erase": 0.0,
    "add": 0.0,
}
"""The settings of a step for which none were made."""

WON: list[dict[str, Any]] = [
    {"strength": 30, "gate": 0, "exponent": 10, "erase": 1, "add": 1},
    {"kernel": [0.1, 0.1, 0.8]},
    *[{}, {}, {}],
    {"gate": 1, "erase": 0},
    {"gate": 0},
]
"""One way to win the first two levels."""

LOCATIONS = 8
WORDS = ("10110010", "01101101", "10110011", "11100100")
MOST = 5
"""The changes of settings after the first step that level 2 allows."""


def _steps(given: Sequence[str | None], due: Sequence[str | None]) -> list[Any]:
    stored = ["the start mark", "vector 1", "vector 2", "vector 3", "vector 4"]
    return [
        {"given": name, "due": target}
        for name, target in zip(
            [*stored, *given], [None] * len(stored) + [*due], strict=True
        )
    ]


VECTORS = [f"vector {i}" for i in range(1, 5)]
COPY = _steps([None] * 4, VECTORS)
RECALL = _steps(
    ["vector 2", "the start mark", "vector 3", "vector 1"],
    ["vector 3", "vector 1", "vector 4", "vector 2"],
)
TASKS = (
    "Copy: a start mark and four vectors come in, one a step; then give the vectors "
    "back in their order. A setting stays as it is until you change it.",
    "Copy with at most five changes of a setting after step 0. This memory is not "
    "empty at the beginning.",
    "Recall: the mark and four vectors come in; then one of them, and the one that "
    "came after it is due.",
)


class Step(NamedTuple):
    """What the settings of one step do."""

    address: addressing.Address
    memory: Tensor
    read_vector: Tensor


class Settings(traitlets.TraitType[list[dict[str, Any]], Any]):
    """The settings of every step; what a step leaves out stays as it was before."""

    def __init__(self, steps: int):
        self.steps = steps
        super().__init__([dict(DEFAULTS) for _ in range(steps)])
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[dict[str, Any]]:
        """Return all settings, or refuse them and say what is possible."""
        if not isinstance(value, list | tuple) or len(value) > self.steps:
            raise traitlets.TraitError(
                f"{self.name}: got {value!r}, needs a list of at most {self.steps} "
                "dictionaries, one a step"
            )
        now, whole = DEFAULTS, []
        for step in [*value, *[{}] * (self.steps - len(value))]:
            if not isinstance(step, dict) or not set(step) <= set(DEFAULTS):
                raise traitlets.TraitError(
                    f"{self.name}: got {step!r}, needs a dictionary of "
                    f"{', '.join(DEFAULTS)}"
                )
            now = now | {name: self._checked(name, step[name]) for name in step}
            whole.append(now | {"kernel": list(now["kernel"])})
        return whole

    def _checked(self, name: str, value: Any) -> Any:
        if name == "key":
            if value not in KEYS:
                raise traitlets.TraitError(
                    f"{name}: got {value!r}, needs one of {', '.join(KEYS)}"
                )
            return value
        try:
            numbers = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            numbers = torch.tensor(float("nan"))
        if name == "kernel":
            is_kernel = numbers.shape == (3,) and bool((numbers >= 0).all())
            if not is_kernel or abs(float(numbers.sum()) - 1) > 1e-6:
                raise traitlets.TraitError(
                    f"{name}: got {value!r}, needs three numbers that sum to 1"
                )
            return numbers.tolist()
        low, high = BOUNDS[name]
        if numbers.dim() or not low <= float(numbers) <= high:
            raise traitlets.TraitError(
                f"{name}: got {value!r}, needs a number from {low:g} to {high:g}"
            )
        return float(numbers)


class Controller(LiveFigure):
    """A head to steer by hand through a sequence, step by step; a program may play.

    ``level``, ``settings`` and ``step`` can be set and move what is on the screen.
    ``settings`` is a list with a dictionary for each step, of ``key``, ``strength``,
    ``gate``, ``kernel``, ``exponent``, ``erase`` and ``add``; what is left out stays as
    it was a step before.  ``score``, ``changes`` and ``won`` say what they are worth.

    Args:
        programs: for each level settings that the reader can call up, and break.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
    """

    _esm = script("controller.js")
    _css = style("controller.css")

    # As text: a notebook would store lists with a line for each number.
    game = traitlets.Unicode().tag(sync=True)
    strongest = traitlets.Float(STRONGEST, read_only=True).tag(sync=True)
    sharpest = traitlets.Float(SHARPEST, read_only=True).tag(sync=True)
    last = traitlets.Int(len(COPY) - 1)
    level = traitlets.Enum([1, 2, 3], 1).tag(sync=True)
    step = Whole(0, "last")
    settings = Settings(len(COPY))

    def __init__(self, programs: Sequence[Any] = (), **changes: Any):
        words = [[float(bit) for bit in word] for word in WORDS]
        width = len(words[0])
        self._vectors = {"the start mark": [-1.0] * width} | dict(
            zip(VECTORS, words, strict=True)
        )
        empty = torch.zeros(LOCATIONS, width, dtype=torch.float64)
        places = torch.arange(LOCATIONS).unsqueeze(1) + 3 * torch.arange(width)
        used = 0.9 * (places % 4 == 0).double()
        self._levels: list[dict[str, Any]] = [
            {"task": task, "memory": start.tolist(), "steps": steps, "most": most}
            for task, start, steps, most in zip(
                TASKS,
                (empty, used, used),
                (COPY, COPY, RECALL),
                (None, MOST, None),
                strict=True,
            )
        ]
        super().__init__(**changes)
        self.programs = programs

    @property
    def programs(self) -> list[list[dict[str, Any]] | None]:
        """For each level the settings that a button calls up; set in the same way."""
        return [level["program"] for level in self._levels]

    @programs.setter
    def programs(self, programs: Sequence[Any]) -> None:
        check: Settings = self.traits()["settings"]
        for level, program in itertools.zip_longest(self._levels, programs):
            level["program"] = check.validate(self, program) if program else None
        game = {"vectors": self._vectors, "levels": self._levels, "defaults": DEFAULTS}
        self.game = json.dumps(game)

    @property
    def run(self) -> list[Step]:
        """All steps with these settings, in double precision."""
        return self._film(self._levels[self.level - 1], self.settings)

    @property
    def weightings(self) -> Tensor:
        """Where the head is at each step, ``(T, N)``."""
        return torch.stack([step.address.weighting for step in self.run])

    @property
    def memory(self) -> Tensor:
        """The memory after the write of the step on the screen, ``(N, W)``."""
        return self.run[self.step].memory

    @property
    def answer(self) -> Tensor:
        """What is read at the steps at which a vector is due, ``(4, W)``."""
        steps = zip(self.run, self._steps, strict=True)
        return torch.stack([found.read_vector for found, at in steps if at["due"]])

    @property
    def score(self) -> int:
        """How many of the 32 bits that are due come out right, to the last step."""
        asked = [self._vectors[step["due"]] for step in self._steps if step["due"]]
        wanted = torch.tensor(asked, dtype=torch.float64) > 0.5
        digits = torch.where(self.answer < -0.5, -1, (self.answer > 0.5).long())
        return int((digits == wanted).sum())

    @property
    def changes(self) -> int:
        """How many settings are changed after step 0."""
        pairs = zip(self.settings, self.settings[1:], strict=False)
        return sum(one[name] != two[name] for one, two in pairs for name in DEFAULTS)

    @property
    def won(self) -> bool:
        """Whether every bit is right, with no more changes than the level allows."""
        most = self._levels[self.level - 1]["most"]
        return self.score == self.answer.numel() and (
            most is None or self.changes <= most
        )

    @property
    def _steps(self) -> list[dict[str, str | None]]:
        steps: list[dict[str, str | None]] = self._levels[self.level - 1]["steps"]
        return steps

    def _film(
        self, level: dict[str, Any], settings: list[dict[str, Any]]
    ) -> list[Step]:
        def vector(numbers: Any) -> Tensor:
            return torch.tensor(numbers, dtype=torch.float64)

        now = vector(level["memory"])
        focus, last_read = torch.eye(len(now), dtype=torch.float64)[0], now[0] * 0
        run = []
        for at, s in zip(level["steps"], settings, strict=True):
            given = at["given"]
            inputs = vector(self._vectors[given]) if given else torch.zeros_like(now[0])
            mark = vector(self._vectors["the start mark"])
            key = dict(zip(KEYS, (mark, inputs, last_read), strict=True))[s["key"]]
            found = addressing.address(
                now,
                focus,
                key,
                s["strength"],
                s["gate"],
                vector(s["kernel"]),
                s["exponent"],
            )
            focus = found.weighting
            erase_vector = torch.full_like(inputs, s["erase"])
            now = memory.write(now, focus, erase_vector, s["add"] * inputs)
            last_read = memory.read(now, focus)
            run.append(Step(found, now, last_read))
        return run

    def picture(self) -> Picture:
        """Return the first level, won, as a still picture."""
        check: Settings = self.traits()["settings"]
        run = self._film(self._levels[0], check.validate(self, WON))
        weightings = torch.stack([step.address.weighting for step in run])
        picture, axes = figures.panels(2, 4.4)
        title = "a mark and four vectors are stored, then given back"
        figures.weightings_image(axes[0], weightings, "sharpened", title)
        axes[0].set_xlabel("step")
        options: Any = {"cmap": figures.SIGNED, "vmin": -1, "vmax": 1}
        axes[1].imshow(run[-1].memory.numpy(), aspect="auto", **options)
        axes[1].set(title="the memory at the end", ylabel="location", xticks=[])
        return picture

    def __repr__(self) -> str:
        return f"Controller(level={self.level})"
