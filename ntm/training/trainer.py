"""Training: one loop, for one seed or for many side by side.

A `Training` holds all that changes while machines learn: give its `tensors` to a new
one with the same settings and it goes on as if it had never stopped.  Files are the
business of `ntm.runs.run`.
"""

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ntm.tasks import Batch, cost_in_bits, wrong_bits
from ntm.training import optimizers
from ntm.training.settings import Settings
from ntm.training.stacked import Population


class Evaluation(NamedTuple):
    """How one seed did on fresh sequences of the largest size: a row of the curve.

    sequences seen so far · bits and wrong bits per sequence, means over the evaluation.
    """

    seed: int
    sequences: int
    bits: float
    wrong_bits: float


class Stopped(NamedTuple):
    """A seed that had to stop, because a number of its gradient was not finite."""

    seed: int
    update: int
    sequences: int
    parameter: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed} stopped at update {self.update} ({self.sequences} "
            f"sequences): the gradient of {self.parameter} is not finite; its last "
            "good parameters are kept"
        )


class Training:
    """Machines in training: everything that changes, and how it changes.

    Each seed has its own parameters, its own stream of sequences and its own limit on
    the norm of its gradient; only the sizes of the sequences are drawn for all seeds
    together, so that they take the same number of steps.

    Args:
        settings: all choices there are.
        device: where the arithmetic is done.
        compiled: whether steps run through the compiler.

    Chapter: *Training*.
    """

    def __init__(
        self,
        settings: Settings,
        device: torch.device | str = "cpu",
        compiled: bool = True,
    ):
        self.settings = settings
        self.device = torch.device(device)
        self.task = settings.make_task()
        self.lessons = settings.make_task(learning=True)
        models = [settings.make_model(seed) for seed in settings.seeds]
        self.population = Population(models[0].to(device), compiled)
        self.parameters = self.population.stack(models).to(device)
        self.average = self.parameters.clone()
        self.memory = optimizers.start(self.parameters)
        self.usual = torch.zeros(len(models), 1, device=device)
        self.running = torch.ones(len(models), dtype=torch.bool, device=device)
        self.stopped: list[Stopped] = []
        self.updates = 0
        self.sizes = torch.Generator().manual_seed(0)
        self.streams = [torch.Generator().manual_seed(seed) for seed in settings.seeds]

    @property
    def sequences(self) -> int:
        """Sequences that each seed has seen."""
        return self.updates * self.settings.batch_size

    @property
    def finished(self) -> bool:
        """Whether all sequences are seen, or no seed is left running."""
        return self.sequences >= self.settings.sequences or not self.running.any()

    def __iter__(self) -> Iterator[list[Evaluation]]:
        """Train to the end, and give the rows of the curve as they come."""
        every = self.settings.evaluate_every // self.settings.batch_size
        while not self.finished:
            self.update()
            if self.updates % every == 0 or self.finished:
                yield self.evaluate()

    def update(self) -> None:
        """Learn from one batch for each seed."""
        batch = self.draw()
        parameters = self.parameters.requires_grad_()
        gradient = self.gradient(parameters, batch)
        self.parameters = parameters.detach()
        now = rate(self.settings, self.sequences)
        limited = limit(gradient, self.usual, now, self.settings)
        change, memory = optimizers.OPTIMIZERS[self.settings.optimizer](
            limited, self.memory, now
        )
        self.updates += 1
        self._stop_where_not_finite(gradient)
        moves = self.running.unsqueeze(-1)
        # Both averages are of few updates at first, so that they do not lag behind.
        new = max(1 / self.updates, 1e-3)
        usual = (1 - new) * self.usual + new * limited.square().sum(-1, keepdim=True)
        self.usual = torch.where(moves, usual, self.usual)
        self.parameters = torch.where(moves, self.parameters + change, self.parameters)
        stays = min(self.settings.average, self.updates / (self.updates + 9))
        mixed = stays * self.average + (1 - stays) * self.parameters
        self.average = torch.where(moves, mixed, self.average)
        self.memory = {
            name: torch.where(moves, new, self.memory[name]) if new.dim() else new
            for name, new in memory.items()
        }

    def gradient(self, parameters: Tensor, batch: Batch) -> Tensor:
        """Return each seed's gradient of its mean cost, ``(seeds, P)``."""
        few = self.settings.training_locations
        memory_size = {"memory_locations": few} if few else {}
        logits = self.population(parameters, batch.inputs, **memory_size)
        bits = cost_in_bits(logits, batch)
        # The mean over the bits of the answer, so that no length outweighs another.
        asked = batch.mask.sum(dim=0) * self.task.output_size
        loss = (bits / asked).mean(dim=-1)
        (gradient,) = torch.autograd.grad(loss.sum(), parameters)
        return gradient

    def draw(self) -> Batch:
        """Return the next batch of every seed: ``(time, seeds, batch, channels)``."""
        size = self.lessons.draw_size(self.sizes)
        each = [
            self.lessons.batch(stream, self.settings.batch_size, *size)
            for stream in self.streams
        ]
        together = (torch.stack(parts, dim=1) for parts in zip(*each, strict=True))
        return Batch(*(part.to(self.device) for part in together))

    @torch.no_grad()
    def evaluate(self) -> list[Evaluation]:
        """Return how each running seed does on fresh sequences of the largest size."""
        fresh = torch.Generator().manual_seed(2**31 + self.updates)
        one = self.task.batch(
            fresh, self.settings.evaluation_sequences, *self.task.test_size
        )
        seeds = len(self.settings.seeds)
        batch = Batch(
            *(
                part.to(self.device).unsqueeze(1).repeat_interleave(seeds, 1)
                for part in one
            )
        )
        logits = self.population(self.average, batch.inputs)
        bits = cost_in_bits(logits, batch).mean(dim=-1).tolist()
        wrong = wrong_bits(logits, batch).double().mean(dim=-1).tolist()
        rows = zip(self.settings.seeds, bits, wrong, self.running.tolist(), strict=True)
        return [Evaluation(s, self.sequences, b, w) for s, b, w, runs in rows if runs]

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is needed to go on from here."""
        return {
            "parameters": self.parameters.detach(),
            "average": self.average,
            "usual": self.usual,
            "running": self.running,
            "updates": torch.tensor(self.updates),
            "random.sizes": self.sizes.get_state(),
            "random.streams": torch.stack([s.get_state() for s in self.streams]),
            **{f"optimizer.{name}": tensor for name, tensor in self.memory.items()},
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from where `tensors` was called.

        Raises:
            ValueError: the tensor that is missing or does not fit.
        """
        for name, mine in self.tensors().items():
            shape = tuple(tensors[name].shape) if name in tensors else "nothing"
            if name not in tensors or tensors[name].shape != mine.shape:
                raise ValueError(f"{name}: got {shape}, needs {tuple(mine.shape)}")
            if tensors[name].dtype != mine.dtype:
                kind = tensors[name].dtype
                raise ValueError(f"{name}: got {kind}, needs {mine.dtype}")
        on_device = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        self.parameters = on_device["parameters"].clone()
        self.average = on_device["average"].clone()
        self.usual = on_device["usual"]
        self.running = on_device["running"]
        self.updates = int(tensors["updates"])
        # Cloned: a generator reads from where the memory of a view begins.
        self.sizes.set_state(tensors["random.sizes"].clone())
        for stream, state in zip(self.streams, tensors["random.streams"], strict=True):
            stream.set_state(state.clone())
        self.memory = {name: on_device[f"optimizer.{name}"] for name in self.memory}

    def _stop_where_not_finite(self, gradient: Tensor) -> None:
        fails = self.running & ~gradient.isfinite().all(dim=-1)
        if not fails.any():
            return
        for row in fails.nonzero().flatten().tolist():
            parts = self.population.named(gradient[row]).items()
            guilty = [name for name, part in parts if not part.isfinite().all()]
            seed = self.settings.seeds[row]
            at = (self.updates, self.sequences, ", ".join(guilty))
            self.stopped.append(Stopped(seed, *at))
        self.running = self.running & ~fails


LOWEST = 0.01
"""The share of the learning rate that is left at the end."""


def limit(gradient: Tensor, usual: Tensor, now: float, settings: Settings) -> Tensor:
    """Return the gradient, each seed's shortened to the norm it may have.

    Args:
        gradient: ``(seeds, P)``.
        usual: mean of the squared norms that were let through lately, ``(seeds, 1)``;
            0 before the first.
        now: the learning rate.  What it has fallen by, the limit has grown by: what is
            limited is the step that comes of the gradient.
        settings: the limits, ``clip_usual``, ``clip_norm`` and ``clip_component``.
    """
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    times = settings.clip_usual * settings.learning_rate / max(now, 1e-12)
    allowed = torch.where(usual > 0, times * usual.sqrt(), math.inf)
    allowed = allowed.clamp_max(settings.clip_norm)
    shortened: Tensor = gradient * (allowed / norm).clamp_max(1)
    return shortened.clamp(-settings.clip_component, settings.clip_component)


def rate(settings: Settings, sequences: int) -> float:
    """Return the learning rate after so many sequences: rise, hold, fall, stay low."""
    done = sequences / settings.sequences
    if done < settings.rise:
        return settings.learning_rate * done / settings.rise
    if done < settings.hold:
        return settings.learning_rate
    fallen = min(1.0, (done - settings.hold) / (settings.fall - settings.hold))
    share = (1 + math.cos(math.pi * fallen)) / 2
    return settings.learning_rate * max(share, LOWEST)


SOLVED = 0.1
"""A seed is solved when the median wrong bits of ten evaluations are below this."""


def solved_after(curve: Iterable[Evaluation]) -> dict[int, int | None]:
    """Return for each seed after how many sequences it was solved; None if never.

    Solved: the median of ten successive evaluations is below `SOLVED`.
    """
    wrong: dict[int, list[float]] = {}
    solved: dict[int, int | None] = {}
    for row in curve:
        mine = wrong.setdefault(row.seed, [])
        mine.append(row.wrong_bits)
        is_solved = len(mine) >= 10 and statistics.median(mine[-10:]) < SOLVED
        if solved.setdefault(row.seed, None) is None and is_solved:
            solved[row.seed] = row.sequences
    return solved
