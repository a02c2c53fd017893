"""All choices that make a run, in one place: the same settings give the same run."""

import dataclasses
import math
from typing import Any

import torch

from ntm._checks import require_whole
from ntm.baseline import Baseline
from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.tasks import TASKS, Task, options
from ntm.training.optimizers import OPTIMIZERS

MODELS: dict[str, type[NTM] | type[Baseline]] = {"ntm": NTM, "baseline": Baseline}


def register(name: str, kind: type[NTM] | type[Baseline]) -> None:
    """Make a machine of one's own known by a name, to settings, files and commands.

    Args:
        name: what ``Settings.model`` and ``--model`` call it.
        kind: an `NTM` with heads, an addressing or a step of its own; it takes what
            `NTM` takes.

    Raises:
        ValueError: another model has this name.
    """
    if MODELS.setdefault(name, kind) is not kind:
        raise ValueError(f"name: got {name!r}, which another model has")


_RENAMED = {
    "heads": "num_heads",
    "rise": "warmup_until",
    "hold": "hold_until",
    "fall": "decay_until",
    "average": "ema_decay",
}
"""How older files call a setting, and what it is called now."""

_BEFORE: dict[str, Any] = {
    "ema_decay": 0.0,
    "clip_usual": None,
    "training_locations": [],
    "training_strengths": [],
}
"""What was done before there was such a setting, which older files do not name."""

MOST = 2**31 - 1
"""What a whole number can be at most: more is a mistake, and no memory holds it."""

_LISTS = ("seeds", "training_locations", "training_strengths")
_LIMITS = ("clip_usual", "clip_norm", "clip_component")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is trained, on what, and how.

    Args:
        task: what is learned, a name in `ntm.tasks.TASKS`.
        task_options: options of the task by name; those left out become what is usual.
        model: ``ntm``, or ``baseline`` for the stacked LSTM without a memory.
        controller: what drives the heads, a name in `ntm.controllers.CONTROLLERS`.
        controller_size: units of the controller's layer.
        memory_locations: N, locations of the memory.
        memory_width: W, numbers in a location.
        num_heads: write heads, and as many read heads.
        shift_range: how many locations a head can move in a step, forward or back.
        forward_bias: how far the write heads lean to a step forward before they have
            learned anything: what is added to the bias of that shift.  With 3 a head
            walks from the first step on.
        gate_bias: how far their gates lean to what the key finds, or, below 0, to the
            weighting before: what is added to the bias of the gate.  With -2 a head
            that walks is not held back by what it finds.
        baseline_size: units of each layer of the baseline.
        baseline_layers: layers of the baseline.
        seeds: one machine each, trained side by side.
        sequences: how many sequences each seed sees, in whole batches.
        batch_size: how many sequences each seed sees before an update.
        optimizer: a name in `ntm.training.optimizers.OPTIMIZERS`.
        learning_rate: the largest learning rate, a factor of each update.
        warmup_until: share of the run, 0 to 1, in which the learning rate rises.
        hold_until: share of the run until which the learning rate stays the largest.
        decay_until: share of the run until which it falls; then it stays low.
        clip_usual: a gradient longer than this many times what is usual is shortened to
            it.  Usual is the root mean square of the last 1,000 norms or so.  The limit
            grows as the learning rate falls, so that it limits the step.
        clip_norm: a gradient whose norm is larger than this is shortened to it.
        clip_component: the numbers of a gradient are held within plus or minus this.
        ema_decay: the share of the running average of the parameters that stays at an
            update; it is this average that is judged and kept.
        training_locations: how many locations the memory has while learning, drawn for
            each update from these; all there are unless given.  With few, writing over
            what is not yet read has a price.
        training_strengths: what share of their key strengths the heads have while
            learning, drawn for each update from these; all of it unless given.  With a
            half, a key learns to stand out twice as far as a small memory asks for.
        evaluate_every: how many sequences each seed sees between two evaluations.
        evaluation_sequences: how many sequences an evaluation takes.

    Raises:
        TypeError, ValueError: the setting, what it got and what it needs.

    Chapter: *Training*.
    """

    task: str = "copy"
    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    model: str = "ntm"
    controller: str = "lstm"
    controller_size: int = 100
    memory_locations: int = 128
    memory_width: int = 20
    num_heads: int = 1
    shift_range: int = 1
    forward_bias: float = 0.0
    gate_bias: float = 0.0
    baseline_size: int = 256
    baseline_layers: int = 3
    seeds: tuple[int, ...] = (0,)
    sequences: int = 50_000
    batch_size: int = 4
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    warmup_until: float = 0.02
    hold_until: float = 0.15
    decay_until: float = 0.8
    clip_usual: float = 1.5
    clip_norm: float = 1.0
    clip_component: float = math.inf
    ema_decay: float = 0.999
    training_locations: tuple[int, ...] = ()
    training_strengths: tuple[float, ...] = ()
    evaluate_every: int = 400
    evaluation_sequences: int = 100

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _require_kind(field.name, field.type, getattr(self, field.name))
        _require_one_of("task", self.task, TASKS)
        complete = options.in_training(TASKS[self.task], self.task_options)
        object.__setattr__(self, "task_options", complete)
        for name, value in complete.items():
            _require_kind(name, None, value)
        _require_one_of("model", self.model, MODELS)
        _require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        for name in (
            "sequences",
            "batch_size",
            "evaluate_every",
            "evaluation_sequences",
        ):
            require_whole(1, **{name: getattr(self, name)})
        if self.evaluate_every % self.batch_size:
            raise ValueError(
                f"evaluate_every: got {self.evaluate_every}, needs a multiple of the "
                f"batch size, {self.batch_size}"
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"seeds: got {self.seeds}, needs one or more, all different"
            )
        for seed in self.seeds:
            require_whole(0, seeds=seed)
            if seed >= 2**31:  # from there on the streams of evaluations begin
                raise ValueError(f"seeds: got {seed}, needs less than 2³¹")
        for name in ("learning_rate", *_LIMITS):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"{name}: got {getattr(self, name)}, needs more than 0"
                )
        if math.isinf(self.learning_rate):
            raise ValueError("learning_rate: got inf, needs a finite number")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(
                f"ema_decay: got {self.ema_decay}, needs 0 ≤ ema_decay < 1"
            )
        if not 0 <= self.warmup_until <= self.hold_until < self.decay_until <= 1:
            raise ValueError(
                f"warmup_until, hold_until, decay_until: got {self.warmup_until}, "
                f"{self.hold_until}, {self.decay_until}, needs "
                "0 ≤ warmup_until ≤ hold_until < decay_until ≤ 1"
            )
        for name in ("training_locations", "training_strengths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for share in self.training_strengths:
            _require_kind("training_strengths", float, share)
            if not 0 < share <= 1:
                raise ValueError(f"training_strengths: got {share}, needs 0 to 1")
        few = self.training_locations
        for locations in few:
            require_whole(1, training_locations=locations)
        for name in ("forward_bias", "gate_bias"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(
                    f"{name}: got {getattr(self, name)}, needs a finite number"
                )
        with torch.device("meta"):
            try:
                model = self._build()  # refuses a machine that cannot be
            except RuntimeError as error:
                raise ValueError("no memory holds a machine of this size") from error
            if few:
                if not isinstance(model, NTM):
                    raise ValueError("training_locations: the baseline has no memory")
                model.initial_state(1, min(few))
            if self.training_strengths and not isinstance(model, NTM):
                raise ValueError("training_strengths: the baseline has no heads")
            self._lean(model)

    def make_task(self, learning: bool = False) -> Task:
        """Return the task, as it is judged or as it is learned."""
        kind = TASKS[self.task]
        if learning:
            return kind(**self.task_options)
        given = self.task_options.items()
        return kind(**{name: v for name, v in given if name not in kind.learning})

    def make_model(self, seed: int) -> Recurrent[Any]:
        """Return a machine as this seed begins with."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._build()
        self._lean(model)
        return model

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them; `from_json` turns it back."""
        values = dataclasses.asdict(self)
        for name in _LIMITS:
            if math.isinf(values[name]):
                values[name] = None  # JSON knows no infinity
        return values | {name: list(values[name]) for name in _LISTS}

    @classmethod
    def from_json(cls, values: Any) -> "Settings":
        """Return the settings that `to_json` gave, today's or an older one.

        What an older file does not name is what was done then.

        Raises:
            TypeError, ValueError: what is unknown or impossible.
        """
        if not isinstance(values, dict):
            raise ValueError(f"settings: got {type(values).__name__}, needs an object")
        values = {_RENAMED.get(name, name): value for name, value in values.items()}
        values = values | {"task_options": _task_options(values)}
        values.pop("uneven", None)
        known = cls().to_json() | _BEFORE
        for name in sorted(values.keys() - known.keys()):
            raise ValueError(f"settings: {name} is unknown")
        values = known | values
        if isinstance(few := values["training_locations"], int):
            values["training_locations"] = [few] if few else []  # it was one, or 0
        for name in _LISTS:
            if not isinstance(values[name], list):
                raise ValueError(f"{name}: got {values[name]!r}, needs a list")
            values = values | {name: tuple(values[name])}
        for name in _LIMITS:
            if values[name] is None:
                values[name] = math.inf
        return cls(**values)

    def _build(self) -> Recurrent[Any]:
        task = self.make_task(learning=True)  # refuses what cannot be learned
        kind = MODELS[self.model]
        if issubclass(kind, Baseline):
            return kind(
                task.input_size,
                task.output_size,
                size=self.baseline_size,
                layers=self.baseline_layers,
            )
        return kind(
            task.input_size,
            task.output_size,
            controller=self.controller,
            controller_size=self.controller_size,
            memory_locations=self.memory_locations,
            memory_width=self.memory_width,
            num_heads=self.num_heads,
            shift_range=self.shift_range,
        )

    def _lean(self, model: Recurrent[Any]) -> None:
        if self.forward_bias or self.gate_bias:
            if not isinstance(model, NTM):
                raise ValueError("forward_bias, gate_bias: the baseline has no heads")
            model.heads.lean(self.forward_bias, self.gate_bias)


def _task_options(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the task that a file means, which may be an older one.

    There was copy alone, with one option of its own, called ``uneven``.
    """
    given = values.get("task_options", {"biased_share": values.get("uneven", 0.0)})
    if not isinstance(given, dict):
        raise ValueError(f"task_options: got {given!r}, needs an object")
    kind = TASKS.get(values.get("task", "copy"))
    return given if kind is None else options.plain(kind) | given


def _require_kind(name: str, kind: Any, value: object) -> None:
    if kind is int:
        require_whole(0, **{name: value})
    if kind is float and (
        isinstance(value, bool) or not isinstance(value, int | float)
    ):
        raise TypeError(f"{name}: got {value!r}, needs a number")
    if kind is str and not isinstance(value, str):
        raise TypeError(f"{name}: got {value!r}, needs a name")
    if isinstance(value, int) and value > MOST:
        raise ValueError(f"{name}: got {str(value)[:40]}, needs at most {MOST}")


def _require_one_of(name: str, value: object, choices: Any) -> None:
    if value not in choices:
        names = ", ".join(sorted(choices))
        raise ValueError(f"{name}: got {value!r}, needs one of {names}")
