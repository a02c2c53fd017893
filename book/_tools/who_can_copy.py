"""Put other models to the copy task of this book: ``who_can_copy.py [NAME …]``.

Each has about as many parameters as our machine with a feed-forward controller, and
sees what it sees: nothing while the answer is due.  Three learning rates are tried on a
development seed, the best of them is trained on five reported seeds, and what comes out
is counted by the protocol of the book (``book/protocol.md``).  All of it is written to
``book/who/``, where the chapter *Who can copy?* reads it.  What was interrupted goes on
where it was, from ``--keep``.

A model has two forms: ``forward`` for all steps at once, where that can be done, and
``step`` for one after the other, which shows what it carries.  The steps of the
memories are those of `ntm.heirs`.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import normalize, pad, silu, softplus

from ntm import heirs
from ntm.baseline import Baseline
from ntm.memory import read
from ntm.runs import files, provenance, tables
from ntm.tasks import Batch, Copy, cost_in_bits, wrong_bits
from ntm.training import optimizers
from ntm.training.evaluation import evaluate_seeds
from ntm.training.settings import Settings
from ntm.training.stacked import StackedModels, side_by_side
from ntm.training.trainer import Evaluation, learning_rate_at, solved_after

FOLDER = Path(__file__).parents[1] / "who"
REPORTED = (1000, 1001, 1002, 1003, 1004)
DEVELOPMENT = 0
RATES = (1e-3, 3e-3, 1e-2)
TUNING = 750
UPDATES = 5_000
BATCH = 16
PUBLISHED = 1
LENGTHS = (1, 5, 10, 15, 20, 30, 40, 50, 100, 500, 1000)
VECTORS = 20_000
EVERY = 250
"""Updates from one evaluation to the next."""

TOLD = "-told"
"""The ending of a model that is told its answer so far."""

KERNEL = 4
"""Steps that a short convolution sees, the present one included."""

State = Any
"""A tensor, or a tuple of states."""


class RootMeanSquare(nn.Module):
    """Bring vectors to a mean square of 1, then scale each channel."""

    def __init__(self, size: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """``(…, size)`` → ``(…, size)``."""
        power = x.square().mean(dim=-1, keepdim=True)
        return x * torch.rsqrt(power + 1e-6) * self.scale


class ShortConvolution(nn.Module):
    """Mix each channel with its own last few steps, then SiLU."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter((2 * torch.rand(KERNEL, size) - 1) * KERNEL**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, time, size)`` → the same."""
        padded = pad(x, (0, 0, KERNEL - 1, 0))
        steps = x.shape[1]
        parts = [padded[:, i : i + steps] * w for i, w in enumerate(self.weight)]
        return silu(torch.stack(parts).sum(dim=0))

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, size)``, and the steps before it, ``(batch, KERNEL - 1, size)``."""
        recent = torch.cat([before, x.unsqueeze(1)], dim=1)
        return silu((recent * self.weight).sum(dim=1)), recent[:, 1:]

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the steps before the first: zeros."""
        return self.weight.new_zeros(batch_size, KERNEL - 1, self.weight.shape[1])


class Attention(nn.Module):
    """Causal attention; each step adds a row of keys and one of values to a cache.

    Args:
        size: channels.
        heads: how many memories side by side.
        places: ``none``; ``rotary``, where keys and queries are turned by an angle that
            grows with the step (Su et al. 2021, arXiv 2104.09864); or ``hard-alibi``,
            where half of the heads see everything and the others the last 1, 2, …
            steps, the present one included (Jelassi et al. 2024, arXiv 2402.01032).
    """

    def __init__(self, size: int, heads: int, places: str):
        super().__init__()
        self.heads, self.width, self.places = heads, size // heads, places
        self.inward = nn.Linear(size, 3 * size, bias=False)
        self.outward = nn.Linear(size, size, bias=False)
        few = range(1, heads // 2 + 1) if places == "hard-alibi" else range(0)
        self.windows = [*few, *[2**31] * (heads - len(few))]

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, time, size)`` → the same."""
        steps = torch.arange(x.shape[1], device=x.device)
        q, k, v = self._apart(x, steps)
        ages = steps.unsqueeze(1) - steps
        windows = torch.tensor(self.windows, device=x.device).view(-1, 1, 1)
        unseen = (ages < 0) | (ages >= windows)
        score = (q @ k.mT * self.width**-0.5).masked_fill(unseen, -math.inf)
        return self.outward((score.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))

    def step(self, x: Tensor, cache: State) -> tuple[Tensor, State]:
        """``(batch, size)``, and the cache: ``(batch, heads, rows, width)``, twice."""
        keys, values = cache
        now = torch.tensor([keys.shape[2]], device=x.device)
        q, k, v = self._apart(x.unsqueeze(1), now)
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        reads = [
            heirs.attention(keys[:, h, -n:], values[:, h, -n:], q[:, h, 0])
            for h, n in enumerate(self.windows)
        ]
        return self.outward(torch.cat(reads, dim=-1)), (keys, values)

    def initial_state(self, batch_size: int) -> State:
        """Return an empty cache."""
        empty = self.inward.weight.new_zeros(batch_size, self.heads, 0, self.width)
        return empty, empty

    def _apart(self, x: Tensor, steps: Tensor) -> list[Tensor]:
        """Return queries, keys and values, each ``(batch, heads, time, width)``."""
        parts = self.inward(x).unflatten(-1, (3, self.heads, self.width))
        q, k, v = parts.transpose(1, 3).unbind(2)
        if self.places == "rotary":
            q, k = (_turned(part, steps) for part in (q, k))
        return [q, k, v]


def _turned(x: Tensor, steps: Tensor) -> Tensor:
    """Turn each pair of channels by its own angle a step: ``(…, time, width)``."""
    width = x.shape[-1]
    speed = 10_000.0 ** (-torch.arange(0, width, 2, device=x.device) / width)
    angle = steps.unsqueeze(-1) * speed
    a, b = x.chunk(2, dim=-1)
    sine, cosine = angle.sin(), angle.cos()
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)


class Delta(nn.Module):
    """The delta rule: DeltaNet, and Gated DeltaNet when the memory fades.

    Queries, keys and values through a short convolution; keys and queries of length 1
    (Yang et al. 2024, arXiv 2406.06484 and 2412.06464).

    Args:
        size: channels.
        heads: how many memories side by side.
        gated: whether the memory fades.
        negative: whether rates go to 2 and not to 1, so that a step may multiply by a
            number below 0 (Grazzi et al. 2024, arXiv 2411.12537).
    """

    def __init__(self, size: int, heads: int, gated: bool, negative: bool):
        super().__init__()
        self.heads, self.width = heads, size // heads
        self.gated, self.most = gated, 2.0 if negative else 1.0
        self.inward = nn.Linear(size, 3 * size, bias=False)
        self.recent = ShortConvolution(3 * size)
        self.rate = nn.Linear(size, heads)
        self.norm = RootMeanSquare(self.width)
        self.outward = nn.Linear(size, size, bias=False)
        if gated:
            self.decay = Decay(size, heads)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, time, size)`` → the same.

        What is written at step t, u(t) = η(t) (v(t) − what is read there), depends on
        what was written before: a triangular system, solved for all steps together.
        """
        q, k, v = self._apart(self.recent(self.inward(x)))
        rate = self._rate(x).transpose(1, 2).unsqueeze(-1)
        steps = x.shape[1]
        left = x.new_ones(steps, steps).tril()
        if self.gated:
            left = _left(self.decay(x).transpose(1, 2))
        system = torch.eye(steps, device=x.device) + (rate * (k @ k.mT) * left).tril(-1)
        written = torch.linalg.solve_triangular(
            system, rate * v, upper=False, unitriangular=True
        )
        return self._out(((q @ k.mT) * left @ written).transpose(1, 2))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``(batch, size)``, and the last steps and the memory."""
        before, memory = state
        mixed, before = self.recent.step(self.inward(x), before)
        q, k, v = (part.squeeze(2) for part in self._apart(mixed.unsqueeze(1)))
        rate = self._rate(x)
        if self.gated:
            memory = heirs.gated_delta(memory, k, v, rate, self.decay(x).exp())
        else:
            memory = heirs.delta(memory, k, v, rate)
        return self._out(read(memory, q)), (before, memory)

    def initial_state(self, batch_size: int) -> State:
        """Return the steps before the first, and a memory of zeros."""
        before = self.recent.initial_state(batch_size)
        return before, before.new_zeros(batch_size, self.heads, self.width, self.width)

    def _apart(self, mixed: Tensor) -> list[Tensor]:
        """Return queries, keys and values, each ``(batch, heads, time, width)``."""
        parts = mixed.unflatten(-1, (3, self.heads, self.width))
        q, k, v = parts.transpose(1, 3).unbind(2)
        return [normalize(q, dim=-1), normalize(k, dim=-1), v]

    def _rate(self, x: Tensor) -> Tensor:
        return self.most * self.rate(x).sigmoid()

    def _out(self, read_vectors: Tensor) -> Tensor:
        return self.outward(self.norm(read_vectors).flatten(-2))


class Decay(nn.Module):
    """How much of a memory is left after a step, in logarithms: one number a head.

    ln α = −exp(A) softplus(W x + b), begun as Mamba-2 begins it.
    """

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.linear = nn.Linear(size, heads)
        self.log_speed = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        longest, shortest = math.log(0.1), math.log(0.001)
        amount = torch.empty(heads).uniform_(shortest, longest).exp()
        with torch.no_grad():
            self.linear.bias.copy_(amount + torch.log(-torch.expm1(-amount)))

    def amount(self, x: Tensor) -> Tensor:
        """Return how much of a step this is, ``(…, size)`` → ``(…, heads)``."""
        return softplus(self.linear(x))

    def forward(self, x: Tensor) -> Tensor:
        """``(…, size)`` → ``(…, heads)``, numbers below 0."""
        return -self.log_speed.exp() * self.amount(x)


def _left(decays: Tensor) -> Tensor:
    """Return what is left at step t of a write at step i: (…, time) → (…, t, i)."""
    since = decays.cumsum(dim=-1)
    steps = decays.shape[-1]
    later = torch.ones(steps, steps, dtype=torch.bool, device=decays.device).triu(1)
    return (
        (since.unsqueeze(-1) - since.unsqueeze(-2)).masked_fill(later, -math.inf).exp()
    )


class StateSpace(nn.Module):
    """A diagonal state space whose numbers depend on the input, after Mamba-2.

    One decay a head and step, one group of input and output maps (Dao and Gu 2024,
    arXiv 2405.21060).  In the words of `ntm.heirs`: fast weights that fade.

    Args:
        size: channels.
        heads: how many states side by side, each 2 × size / heads wide.
        rows: numbers that each inner channel has in its state.
    """

    def __init__(self, size: int, heads: int, rows: int):
        super().__init__()
        self.heads, self.inner, self.rows = heads, 2 * size, rows
        self.width = self.inner // heads
        self.inward = nn.Linear(size, 2 * self.inner + 2 * rows, bias=False)
        self.recent = ShortConvolution(self.inner + 2 * rows)
        self.decay = Decay(size, heads)
        self.direct = nn.Parameter(torch.ones(heads, 1))
        self.norm = RootMeanSquare(self.inner)
        self.outward = nn.Linear(self.inner, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, time, size)`` → the same."""
        gate, mixed = self._split(x)
        values, enter, leave = self._apart(self.recent(mixed))
        left = _left(self.decay(x).transpose(1, 2))
        seen = (leave @ enter.mT).unsqueeze(1) * left
        amount = self.decay.amount(x).unsqueeze(-1)
        read_vectors = (seen @ (amount * values).transpose(1, 2)).transpose(1, 2)
        return self._out(read_vectors, values, gate)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``(batch, size)``, and the last steps and the states."""
        before, memory = state
        gate, mixed = self._split(x)
        mixed, before = self.recent.step(mixed, before)
        values, enter, leave = self._apart(mixed)
        enter, leave = (
            t.unsqueeze(1).expand(-1, self.heads, -1) for t in (enter, leave)
        )
        rate, decay = self.decay.amount(x), self.decay(x).exp()
        memory = heirs.fast_weights(memory, enter, values, rate, decay)
        return self._out(read(memory, leave), values, gate), (before, memory)

    def initial_state(self, batch_size: int) -> State:
        """Return the steps before the first, and states of zeros."""
        before = self.recent.initial_state(batch_size)
        return before, before.new_zeros(batch_size, self.heads, self.rows, self.width)

    def _split(self, x: Tensor) -> list[Tensor]:
        sizes = [self.inner, self.inner + 2 * self.rows]
        return list(self.inward(x).split(sizes, dim=-1))

    def _apart(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, ``(…, heads, width)``, and maps in and out, ``(…, rows)``."""
        values, enter, leave = mixed.split([self.inner, self.rows, self.rows], dim=-1)
        return values.unflatten(-1, (self.heads, self.width)), enter, leave

    def _out(self, read_vectors: Tensor, values: Tensor, gate: Tensor) -> Tensor:
        out = (read_vectors + self.direct * values).flatten(-2)
        return self.outward(self.norm(out * silu(gate)))


class Stack(nn.Module):
    """Layers on top of each other, as language models have them.

    Each adds what it makes of the normalised vectors to them; after each mixer comes a
    network of one hidden layer, where `hidden` is not 0.  Before the first step stands
    a learned vector: a beginning, as the state of an LSTM has a learned one.

    Args:
        size: channels.
        layers: how many.
        hidden: width of the networks between.
        mixer: makes the mixer of a layer.
    """

    def __init__(
        self, size: int, layers: int, hidden: int, mixer: Callable[[], nn.Module]
    ):
        super().__init__()
        self.inward = nn.Linear(Copy().input_size, size)
        self.first = nn.Parameter(torch.randn(size))
        self.mixers = nn.ModuleList(mixer() for _ in range(layers))
        self.norms = nn.ModuleList(RootMeanSquare(size) for _ in range(layers))
        self.networks = nn.ModuleList(
            nn.Sequential(
                RootMeanSquare(size),
                nn.Linear(size, hidden),
                nn.GELU(),
                nn.Linear(hidden, size),
            )
            if hidden
            else nn.Module()
            for _ in range(layers)
        )
        self.has_networks = hidden > 0
        self.norm = RootMeanSquare(size)
        self.output = nn.Linear(size, Copy().output_size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return all logits: ``(time, batch, 9)`` → ``(time, batch, 8)``."""
        x = self.inward(inputs.transpose(0, 1))
        first = self.first.expand(x.shape[0], 1, -1)
        x = torch.cat([first, x], dim=1)
        for norm, mixer, network in self._layers():
            x = x + mixer(norm(x))
            x = x + network(x) if self.has_networks else x
        return self.output(self.norm(x[:, 1:])).transpose(0, 1)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits of one step, ``(batch, 8)``, and the next state."""
        x, state = self._through(self.inward(inputs), state)
        return self.output(self.norm(x)), state

    def initial_state(self, batch_size: int) -> State:
        """Return the state after the learned beginning."""
        empty = tuple(mixer.initial_state(batch_size) for mixer in self.mixers)
        return self._through(self.first.expand(batch_size, -1), empty)[1]

    def _through(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        after = []
        for (norm, mixer, network), mine in zip(self._layers(), state, strict=True):
            mixed, mine = mixer.step(norm(x), mine)
            x = x + mixed
            x = x + network(x) if self.has_networks else x
            after.append(mine)
        return x, tuple(after)

    def _layers(self) -> Iterator[tuple[Any, ...]]:
        return zip(self.norms, self.mixers, self.networks, strict=True)


def _transformer(places: str) -> nn.Module:
    return Stack(32, 2, 32, lambda: Attention(32, 4, places))


def _delta(gated: bool, negative: bool) -> nn.Module:
    return Stack(32, 2, 25, lambda: Delta(32, 2, gated, negative))


def _state_space() -> nn.Module:
    return Stack(28, 2, 0, lambda: StateSpace(28, 4, 18))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "transformer-hard-alibi-told": lambda: _transformer("hard-alibi"),
    "transformer-hard-alibi": lambda: _transformer("hard-alibi"),
    "gated-deltanet-negative": lambda: _delta(gated=True, negative=True),
    "lstm": lambda: Baseline(9, 8, size=52, layers=1),
    "transformer-rotary": lambda: _transformer("rotary"),
    "transformer-none": lambda: _transformer("none"),
    "state-space": _state_space,
    "deltanet": lambda: _delta(gated=False, negative=False),
    "deltanet-negative": lambda: _delta(gated=False, negative=True),
    "gated-deltanet": lambda: _delta(gated=True, negative=False),
    "state-space-told": _state_space,
}
"""All models, the most telling first."""


class Told(Copy):
    """Copy, where the machine is told its answer so far: each vector a step later.

    In training it is told the right one.  Of a test, this gives the exact sequences
    that it would have with its own answers: as long as all of them are right, they are
    the same.  (Wrong bits are fewer than they would be.)
    """

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences, as `Copy` does."""
        return told(super().batch(generator, batch_size, *size))


def told(batch: Batch) -> Batch:
    """Return the batch with each vector of the answer as the next step's input."""
    inputs = batch.inputs.clone()
    heard = batch.targets[:-1] * batch.mask[1:].unsqueeze(-1)
    inputs[1:, :, : heard.shape[-1]] += heard
    return batch._replace(inputs=inputs)


class AllAtOnce(StackedModels):
    """Many seeds as one model, all steps of a sequence together."""

    largest = 2**23
    """Scores of one head of attention that are computed together."""

    def __call__(self, parameters: Tensor, inputs: Tensor, **settings: int) -> Tensor:
        """``(time, seeds, batch, 9)`` → logits ``(time, seeds, batch, 8)``."""

        def run(mine: dict[str, Tensor], x: Tensor) -> Tensor:
            logits: Tensor = self._call(mine, "forward", x)
            return logits

        named, steps = self.named(parameters), len(inputs)
        count = max(1, self.largest // (steps**2 * len(parameters)))
        parts = [
            vmap(run, in_dims=(0, 1), out_dims=1)(named, part)
            for part in inputs.split(count, dim=2)
        ]
        return torch.cat(parts, dim=2)


def stacked(name: str, at_once: bool) -> StackedModels:
    """Return a model for many seeds at once, of one form or the other."""
    model = make(name, 0)
    return (AllAtOnce if at_once and name != "lstm" else StackedModels)(model)


def make(name: str, seed: int) -> nn.Module:
    """Return the model as this seed begins it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name]()


def lesson(task: Copy, generator: torch.Generator, count: int) -> Batch:
    """Return sequences of mixed lengths, the shorter ones followed by zeros.

    ``(2 · longest + 1, count, …)``.  The lengths are uniform, as `Copy.draw_size` is.
    """
    longest = task.longest
    whole = Copy.batch(task, generator, count, longest)
    length = torch.randint(task.shortest, longest + 1, (count,), generator=generator)
    step = torch.arange(2 * longest + 1).unsqueeze(1)
    inputs = whole.inputs * (step < length).unsqueeze(-1)
    inputs[length, torch.arange(count), -1] = 1
    mask = ((step > length) & (step <= 2 * length)).float()
    place = (step - length - 1).clamp(0, longest - 1).unsqueeze(-1)
    answer = whole.inputs[:longest, :, : task.bits]
    targets = answer.gather(0, place.expand(-1, -1, task.bits)) * mask.unsqueeze(-1)
    batch = Batch(inputs, targets, mask)
    return told(batch) if isinstance(task, Told) else batch


def task_of(name: str) -> type[Copy]:
    """Return the task that a model is put to."""
    return Told if name.endswith(TOLD) else Copy


class Training:
    """A model in training, for several seeds: all that changes, and how.

    Warm-up, hold and decay of the learning rate are those of this book's runs, and so
    are Adam, the limit on the norm and the running average that is judged and kept.

    Args:
        name: a key of `MODELS`.
        seeds: of parameters and sequences; rows never mix.
        rates: the largest learning rate of each.
        updates: how many there will be, of `BATCH` sequences each.
    """

    def __init__(
        self, name: str, seeds: Sequence[int], rates: Sequence[float], updates: int
    ):
        self.seeds, self.updates = tuple(seeds), updates
        self.task = task_of(name)(**Copy.learning)
        self.fair = task_of(name)()
        self.learner = stacked(name, at_once=True)
        self.parameters = self.learner.stack([make(name, seed) for seed in seeds])
        self.ema = self.parameters.clone()
        self.optimizer = optimizers.start(self.parameters)
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.rates = torch.tensor(rates).unsqueeze(1)
        self.schedule = Settings(
            sequences=updates * BATCH, batch_size=BATCH, learning_rate=1.0
        )
        self.curve: list[Evaluation] = []
        self.done, self.seconds = 0, 0.0

    def update(self) -> None:
        """Learn from one batch for each seed."""
        began = time.process_time()
        batches = [lesson(self.task, stream, BATCH) for stream in self.streams]
        batch = side_by_side(batches, self.parameters.device)
        parameters = self.parameters.requires_grad_()
        bits = cost_in_bits(self.learner(parameters, batch.inputs), batch)
        loss = (bits / (batch.mask.sum(dim=0) * self.task.bits)).mean(dim=-1)
        (gradient,) = torch.autograd.grad(loss.sum(), parameters)
        norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        now = learning_rate_at(self.schedule, self.done * BATCH)
        change, self.optimizer = optimizers.adam(
            gradient / norm.clamp_min(1), self.optimizer, now
        )
        self.parameters = parameters.detach() + self.rates * change
        self.done += 1
        stays = min(self.schedule.ema_decay, self.done / (self.done + 9))
        self.ema = stays * self.ema + (1 - stays) * self.parameters
        if self.done % EVERY == 0:
            self.curve += self.judged()
        self.seconds += time.process_time() - began

    @torch.no_grad()
    def judged(self) -> list[Evaluation]:
        """Return how each seed does on 100 fresh sequences of the longest length."""
        fresh = torch.Generator().manual_seed(2**31 + self.done)
        one = self.fair.batch(fresh, 100, self.fair.longest)
        batch = side_by_side([one] * len(self.seeds), self.ema.device)
        logits = self.learner(self.ema, batch.inputs)
        bits = cost_in_bits(logits, batch).mean(dim=-1).tolist()
        wrong = wrong_bits(logits, batch).double().mean(dim=-1).tolist()
        rows = zip(self.seeds, bits, wrong, strict=True)
        return [Evaluation(s, self.done * BATCH, b, w) for s, b, w in rows]

    def save(self, path: Path) -> None:
        """Write all that is needed to go on from here."""
        tensors = {f"optimizer.{n}": t for n, t in self.optimizer.items()}
        tensors |= {"parameters": self.parameters.detach(), "ema": self.ema}
        tensors["streams"] = torch.stack([s.get_state() for s in self.streams])
        note = {"done": self.done, "seconds": self.seconds}
        files.write_checkpoint(path, tensors, note | {"curve": self.curve})

    def load(self, path: Path) -> None:
        """Go on from where `save` was called, if it was."""
        if not path.exists():
            return
        tensors, note = files.read_checkpoint(path)
        self.parameters, self.ema = tensors["parameters"], tensors["ema"]
        self.optimizer = {n: tensors[f"optimizer.{n}"] for n in self.optimizer}
        for stream, state in zip(self.streams, tensors["streams"], strict=True):
            stream.set_state(state.clone())
        self.done, self.seconds = note["done"], note["seconds"]
        self.curve = [Evaluation(*row) for row in note["curve"]]

    def run(self, path: Path) -> Iterator[list[Evaluation]]:
        """Train to the end, and give the curve so far after each evaluation."""
        self.load(path)
        while self.done < self.updates:
            self.update()
            if self.done % EVERY == 0:
                self.save(path)
                yield self.curve


def numbers_carried(name: str, length: int) -> int:
    """Return how many numbers a model carries from step to step.

    Args:
        name: a key of `MODELS`.
        length: of the sequence, which it has just heard: L vectors and the delimiter.
    """

    def count(state: State) -> int:
        return state.numel() if isinstance(state, Tensor) else sum(map(count, state))

    model: Any = make(name, 0)
    with torch.no_grad():
        state = model.initial_state(1)
        for x in Copy().batch(torch.Generator(), 1, length).inputs[: length + 1]:
            _, state = model.step(x, state)
    return count(state)


def most_exact(bits: float, length: int, width: int = 8) -> float:
    """Return the largest share of exact sequences that a memory of so many bits allows.

    min(1, 2^(bits − width · length)).  The answer is a function of what is remembered:
    2^bits memories give at most so many different answers, and each is right for one of
    the 2^(width · length) sequences, which are equally likely.
    """
    return 1.0 if bits >= width * length else 2.0 ** (bits - width * length)


def test(name: str, parameters: Tensor, seeds: Sequence[int], path: Path) -> None:
    """Count wrong bits and exact sequences of every seed at every length, and write it.

    When no seed has had an exact sequence at two lengths in a row, longer ones are not
    tried.
    """
    task, trials, in_vain = task_of(name)(), tables.read_trials(path), 0
    for length in LENGTHS:
        known = [r for rows in trials.values() for r in rows if r.where[0] == length]
        if not known:
            known = evaluate_seeds(
                stacked(name, at_once=length <= 50 or "transformer" in name),
                parameters,
                task,
                (length,),
                -(-VECTORS // length),
                PUBLISHED,
            )
            for seed, row in zip(seeds, known, strict=True):
                trials.setdefault(seed, []).append(row)
            tables.write_trials(path, trials)
        in_vain = 0 if any(r.exact for r in known) else in_vain + 1
        if in_vain == 2:
            return


def best_rate(curve: Sequence[Evaluation], rates: Sequence[float]) -> float:
    """Return the rate with the lowest cost at the end; rows and rates are in order."""
    last = [row.bits for row in curve[-len(rates) :]]
    return min(zip(last, rates, strict=True))[1]


def whole(name: str, keep: Path) -> None:
    """Tune, train and test a model, and write what came of it into `FOLDER`."""
    card: dict[str, Any] = {
        "model": name,
        "parameters": sum(p.numel() for p in make(name, 0).parameters()),
        "numbers_carried": {str(n): numbers_carried(name, n) for n in (20, 100)},
        "seeds": list(REPORTED),
        "batch_size": BATCH,
        "device": provenance.device_name(torch.device("cpu")),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }
    tuning = Training(name, [DEVELOPMENT] * len(RATES), RATES, TUNING)
    for curve in tuning.run(keep / f"{name}-tuning.safetensors"):
        print(name, "tuning", *curve[-len(RATES) :], flush=True)
    last = tuning.curve[-len(RATES) :]
    card["tuning"] = [
        {"learning_rate": rate, "sequences": row.sequences, "bits": row.bits}
        for rate, row in zip(RATES, last, strict=True)
    ]
    rate = best_rate(last, RATES)
    card |= {"learning_rate": rate, "sequences": UPDATES * BATCH}
    training = Training(name, REPORTED, [rate] * len(REPORTED), UPDATES)
    for curve in training.run(keep / f"{name}.safetensors"):
        print(name, *curve[-len(REPORTED) :], flush=True)
        tables.write_curve(FOLDER / f"{name}.csv", curve)
        card |= {
            "seen": training.done * BATCH,
            "seconds": round(training.seconds),
            "solved": {str(s): n for s, n in solved_after(curve).items()},
        }
        files.write_json(FOLDER / f"{name}.json", card)
    named = {n: t.contiguous() for n, t in training.learner.named(training.ema).items()}
    files.write_bytes(FOLDER / f"{name}.safetensors", files.as_bytes(named))
    test(name, training.ema, REPORTED, FOLDER / f"{name}-trials.csv")


def main() -> None:
    """Do all of it, one model after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="models; all of them if none is named")
    parser.add_argument("--keep", type=Path, default=Path("runs/who"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (options.keep, FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or MODELS:
        whole(name, options.keep)


if __name__ == "__main__":
    sys.exit(main())
