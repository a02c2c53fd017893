"""The training loop: one, for one seed or for many side by side.

A `Trainer` holds all that changes while machines learn: give its `state_dict` to a new
one with the same settings and it goes on as if it had never stopped.  Files are the
business of `ntm.runs.run`.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntm.tasks import Batch, cost_in_bits, wrong_bits
from ntm.training import optimizers
from ntm.training.conditions import (
    USUAL,
    Conditions,
    fitting_size,
    next_conditions,
    weakened,
)
from ntm.training.settings import Settings
from ntm.training.stacked import groups, side_by_side, stacked_models


class Evaluation(NamedTuple):
    """How one seed did on fresh sequences of the largest size: a row of the curve.

    sequences seen so far · bits and wrong bits per sequence, means over the evaluation
    · optimum: what the best answers to the same sequences cost, None where nothing is
    left to chance (see ``optimum_of`` of the task) or an older version wrote it.
    """

    seed: int
    sequences: int
    bits: float
    wrong_bits: float
    optimum: float | None = None

    @property
    def excess(self) -> float | None:
        """Mean cost of a sequence above the optimum; None where there is none."""
        return None if self.optimum is None else self.bits - self.optimum


class Stopped(NamedTuple):
    """A seed that had to stop: a number of its gradient or update was not finite."""

    seed: int
    update: int
    sequences: int
    parameter: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed} stopped at update {self.update} ({self.sequences} "
            f"sequences): the gradient of {self.parameter}, or its update, is not "
            "finite; its last good parameters are kept"
        )


class Trainer:
    """Machines in training: everything that changes, and how it changes.

    Each seed has its own parameters, its own stream of sizes and sequences, and its own
    limit on the norm of its gradient: it learns the same alone and in company.  Only
    the conditions of an update, where they are drawn, are the same for all seeds.

    Args:
        settings: all choices there are.
        device: where the arithmetic is done.
        compiled: whether steps run through the compiler.

    Attributes:
        replays: whether gradients are CUDA graphs, one for each shape of a batch; so it
            is on a GPU, unless it is told otherwise.

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
        self.replays = self.device.type == "cuda"
        self._graphs: dict[Any, Callable[..., list[Tensor]]] = {}
        self._pool = torch.cuda.graph_pool_handle() if self.replays else None
        self.task = settings.make_task()
        self.training_task = settings.make_task(learning=True)
        models = [settings.make_model(seed) for seed in settings.seeds]
        self.stacked = stacked_models(settings.make_model(0).to(device), compiled)
        self.learners = {1.0: self.stacked}
        for share in settings.training_strengths:
            weak = weakened(settings.make_model(0).to(device), share)
            self.learners.setdefault(share, stacked_models(weak, compiled))
        self.parameters = self.stacked.stack(models).to(device)
        self.ema = self.parameters.clone()
        self.optimizer_state = optimizers.start(self.parameters)
        self.mean_sq_norm = torch.zeros(len(models), 1, device=device)
        self.active = torch.ones(len(models), dtype=torch.bool, device=device)
        self.stopped: list[Stopped] = []
        self.updates = 0
        self.conditions_rng = torch.Generator().manual_seed(0)
        self.data_rngs = [
            torch.Generator().manual_seed(seed) for seed in settings.seeds
        ]

    @property
    def sequences(self) -> int:
        """Sequences that each seed has seen."""
        return self.updates * self.settings.batch_size

    @property
    def finished(self) -> bool:
        """Whether all sequences are seen, or no seed is left running."""
        return self.sequences >= self.settings.sequences or not self.active.any()

    def __iter__(self) -> Iterator[list[Evaluation]]:
        """Train to the end, and give the rows of the curve as they come."""
        every = self.settings.evaluate_every // self.settings.batch_size
        while not self.finished:
            self.update()
            if self.updates % every == 0 or self.finished:
                yield self.evaluate()

    def update(self) -> None:
        """Learn from one batch for each seed."""
        conditions = next_conditions(self.settings, self.conditions_rng)
        batches = self.next_batches(conditions.locations)
        gradient = self.gradients(batches, conditions)
        now = learning_rate_at(self.settings, self.sequences)
        limited = clip_gradient(gradient, self.mean_sq_norm, now, self.settings)
        change, optimizer_state = optimizers.OPTIMIZERS[self.settings.optimizer](
            limited, self.optimizer_state, now
        )
        moved = self.parameters + change
        self.updates += 1
        self._stop_where_not_finite(gradient, moved)
        moves = self.active.unsqueeze(-1)
        # Both averages are of few updates at first, so that they do not lag behind.
        new = max(1 / self.updates, 1e-3)
        sq_norm = limited.square().sum(-1, keepdim=True)
        mean_sq_norm = (1 - new) * self.mean_sq_norm + new * sq_norm
        self.mean_sq_norm = torch.where(moves, mean_sq_norm, self.mean_sq_norm)
        self.parameters = torch.where(moves, moved, self.parameters)
        stays = min(self.settings.ema_decay, self.updates / (self.updates + 9))
        mixed = stays * self.ema + (1 - stays) * self.parameters
        self.ema = torch.where(moves, mixed, self.ema)
        self.optimizer_state = {
            name: torch.where(moves, new, self.optimizer_state[name])
            if new.dim()
            else new
            for name, new in optimizer_state.items()
        }

    def gradients(
        self, batches: Sequence[Batch], conditions: Conditions = USUAL
    ) -> Tensor:
        """Return the gradient of every seed's batch, ``(seeds, P)``, group by group."""
        found = torch.empty_like(self.parameters)
        most = TOGETHER if self.device.type == "cpu" else len(batches)
        gradient = self._replayed if self.replays else self.gradient
        for rows in groups([len(batch.inputs) for batch in batches], most):
            multiple = 8 if self.replays else 1
            mine = [batches[row] for row in rows]
            batch = side_by_side(mine, self.device, multiple)
            found[rows] = gradient(self.parameters[rows], batch, conditions)
        return found

    def _replayed(
        self, parameters: Tensor, batch: Batch, conditions: Conditions
    ) -> Tensor:
        """Return what `gradient` does, from a graph that the next call overwrites."""
        from ntm.fast import cuda_graphs

        alike = (*(part.shape for part in batch), conditions)
        if alike not in self._graphs:
            self._graphs[alike] = cuda_graphs.Replayed(
                lambda p, *parts: [self.gradient(p, Batch(*parts), conditions)],
                [parameters, *batch],
                self._pool,
            )
        return self._graphs[alike](parameters, *batch)[0]

    def gradient(
        self, parameters: Tensor, batch: Batch, conditions: Conditions = USUAL
    ) -> Tensor:
        """Return each seed's gradient of its mean cost, ``(seeds, P)``.

        Args:
            parameters: ``(seeds, P)``.
            batch: ``(time, seeds, batch, …)``.
            conditions: under which the machines answer.
        """
        locations, strength = conditions
        memory_size = {"memory_locations": locations} if locations else {}
        parameters = parameters.detach().requires_grad_()
        logits = self.learners[strength](parameters, batch.inputs, **memory_size)
        bits = cost_in_bits(logits, batch)
        # The mean over the bits of the answer, so that no length outweighs another.
        asked = batch.mask.sum(dim=0) * self.task.output_size
        loss = (bits / asked).mean(dim=-1)
        (gradient,) = torch.autograd.grad(loss.sum(), parameters)
        return gradient

    def next_batches(self, locations: int | None = None) -> list[Batch]:
        """Return the next batch of every seed, each ``(time, batch, channels)``.

        Args:
            locations: how many the memory has: two or more of them stay free; None for
                as many as are needed.
        """
        task, count = self.training_task, self.settings.batch_size
        return [
            task.batch(stream, count, *fitting_size(task, stream, locations))
            for stream in self.data_rngs
        ]

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
        logits = self.stacked(self.ema, batch.inputs)
        bits = cost_in_bits(logits, batch).mean(dim=-1).tolist()
        wrong = wrong_bits(logits, batch).double().mean(dim=-1).tolist()
        best = self.task.optimum_of(one)
        optimum = None if best is None else float(best.double().mean())
        rows = zip(self.settings.seeds, bits, wrong, self.active.tolist(), strict=True)
        return [
            Evaluation(seed, self.sequences, cost, bad, optimum)
            for seed, cost, bad, runs in rows
            if runs
        ]

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that is needed to go on from here."""
        return {
            "parameters": self.parameters.detach(),
            "ema": self.ema,
            "mean_sq_norm": self.mean_sq_norm,
            "active": self.active,
            "updates": torch.tensor(self.updates),
            "conditions_rng": self.conditions_rng.get_state(),
            "data_rngs": torch.stack([s.get_state() for s in self.data_rngs]),
            **{
                f"optimizer.{name}": tensor
                for name, tensor in self.optimizer_state.items()
            },
        }

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from where `state_dict` was called.

        Raises:
            ValueError: the tensor that is missing or does not fit.
        """
        for name, mine in self.state_dict().items():
            shape = tuple(tensors[name].shape) if name in tensors else "nothing"
            if name not in tensors or tensors[name].shape != mine.shape:
                raise ValueError(f"{name}: got {shape}, needs {tuple(mine.shape)}")
            if tensors[name].dtype != mine.dtype:
                kind = tensors[name].dtype
                raise ValueError(f"{name}: got {kind}, needs {mine.dtype}")
        on_device = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        self.parameters = on_device["parameters"].clone()
        self.ema = on_device["ema"].clone()
        self.mean_sq_norm = on_device["mean_sq_norm"]
        self.active = on_device["active"]
        self.updates = int(tensors["updates"])
        # Cloned: a generator reads from where the memory of a view begins.
        self.conditions_rng.set_state(tensors["conditions_rng"].clone())
        for stream, state in zip(self.data_rngs, tensors["data_rngs"], strict=True):
            stream.set_state(state.clone())
        self.optimizer_state = {
            name: on_device[f"optimizer.{name}"] for name in self.optimizer_state
        }

    def _stop_where_not_finite(self, gradient: Tensor, moved: Tensor) -> None:
        """Stop the seeds whose gradient, or what it makes of them, is not finite."""
        finite = gradient.isfinite() & moved.isfinite()
        fails = self.active & ~finite.all(dim=-1)
        if not fails.any():
            return
        for row in fails.nonzero().flatten().tolist():
            parts = self.stacked.named(finite[row]).items()
            guilty = [name for name, part in parts if not part.all()]
            seed = self.settings.seeds[row]
            at = (self.updates, self.sequences, ", ".join(guilty))
            self.stopped.append(Stopped(seed, *at))
        self.active = self.active & ~fails


TOGETHER = 16
"""Seeds that a CPU takes through the machine together.  All of a group take as many
steps as its longest sequence: more of them, and more steps are padding; fewer, and
there are more calls.  Of 32 seeds with 22 locations, eights took 1.4 times as long in
one run, and all of them in one group 1.3 times."""

LOWEST = 0.01
"""The share of the learning rate that is left at the end."""


def clip_gradient(
    gradient: Tensor, mean_sq_norm: Tensor, now: float, settings: Settings
) -> Tensor:
    """Return the gradient, each seed's shortened to the norm it may have.

    Args:
        gradient: ``(seeds, P)``.
        mean_sq_norm: mean of the squared norms that were let through lately,
            ``(seeds, 1)``; 0 before the first.
        now: the learning rate.  What it has fallen by, the limit has grown by: what is
            limited is the step that comes of the gradient.
        settings: the limits, ``clip_usual``, ``clip_norm`` and ``clip_component``.
    """
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
    times = settings.clip_usual * settings.learning_rate / now
    allowed = torch.where(mean_sq_norm > 0, times * mean_sq_norm.sqrt(), math.inf)
    allowed = allowed.clamp_max(settings.clip_norm)
    shortened: Tensor = gradient * (allowed / norm).clamp_max(1)
    return shortened.clamp(-settings.clip_component, settings.clip_component)


def learning_rate_at(settings: Settings, sequences: int) -> float:
    """Return the learning rate after so many sequences: rise, hold, fall, low.

    It is that of the next update, and never 0: the first one learns, too.
    """
    done = sequences / settings.sequences
    if done < settings.warmup_until:
        risen = done + settings.batch_size / settings.sequences
        return settings.learning_rate * min(1.0, risen / settings.warmup_until)
    if done < settings.hold_until:
        return settings.learning_rate
    fallen = min(
        1.0, (done - settings.hold_until) / (settings.decay_until - settings.hold_until)
    )
    share = (1 + math.cos(math.pi * fallen)) / 2
    return settings.learning_rate * max(share, LOWEST)


SOLVED = 0.1
"""A seed is solved when the median wrong bits of ten evaluations are below this."""

SOLVED_EXCESS = 0.005
"""The same of its cost above the optimum, as a share of the optimum, where chance
decides what is right: there half of the bits may be wrong in the best of answers."""


def solved_after(curve: Iterable[Evaluation]) -> dict[int, int | None]:
    """Return for each seed after how many sequences it was solved; None if never.

    Solved: the median of ten successive evaluations is below `SOLVED`, or below
    `SOLVED_EXCESS` where all ten have an optimum.
    """
    seen: dict[int, list[Evaluation]] = {}
    solved: dict[int, int | None] = {}
    for row in curve:
        mine = seen.setdefault(row.seed, [])
        mine.append(row)
        is_solved = len(mine) >= 10 and _are_solved(mine[-10:])
        if solved.setdefault(row.seed, None) is None and is_solved:
            solved[row.seed] = row.sequences
    return solved


def _are_solved(rows: Sequence[Evaluation]) -> bool:
    shares = [(r.bits - r.optimum) / r.optimum for r in rows if r.optimum]
    if len(shares) == len(rows):
        return statistics.median(shares) < SOLVED_EXCESS
    return statistics.median(row.wrong_bits for row in rows) < SOLVED
