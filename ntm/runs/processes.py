"""Several processes for one run: each trains its share of the seeds, the first writes.

``torchrun`` starts them and tells each, in its environment, which of how many it is.
All run the same program and meet after every update, so that none goes on for long
without the others.  They meet over gloo, on any device, and what they tell each other
is JSON or raw tensors: nothing is pickled.
"""

import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ntm.training.settings import Settings
from ntm.training.trainer import Evaluation, Stopped, Trainer

SHARED = {"updates", "size_rng", "optimizer.count"}
"""The tensors of a training that are the same for all seeds; others have a row each."""


class WorkerError(Exception):
    """A worker that cannot go on, because another one does not, or was told to stop."""

    def __init__(self) -> None:
        super().__init__(
            "stopped, because a worker was lost or told to stop; "
            "`resume` goes on from the last checkpoint"
        )


class Worker(NamedTuple):
    """One of the processes of a run; all by itself unless told otherwise.

    rank: its number, from 0 on · size: how many there are · local_rank, local_size:
    both among those of this machine · restarts: how often torchrun has begun anew.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and says how it goes."""
        return self.rank == 0

    def shares(self, seeds: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return what each worker has of the seeds: neighbours, and as many as others.

        Raises:
            ValueError: there are fewer seeds than workers.
        """
        if len(seeds) < self.size:
            raise ValueError(
                f"seeds: got {len(seeds)}, needs at least {self.size}, one for each "
                "worker"
            )
        ends = [len(seeds) * k // self.size for k in range(self.size + 1)]
        return [seeds[begin:end] for begin, end in pairwise(ends)]

    def place(self, device: torch.device) -> torch.device:
        """Return the card of this worker; more workers than cards take turns."""
        several = self.size > 1 and device.type == "cuda" and device.index is None
        if not several or not torch.cuda.device_count():
            return device
        return torch.device("cuda", self.local_rank % torch.cuda.device_count())

    def training(
        self, settings: Settings, device: torch.device | str, compiled: bool
    ) -> Trainer:
        """Return the training of this worker's share of the seeds.

        Raises:
            ValueError: there are fewer seeds than workers.
        """
        if self.size == 1:
            return Trainer(settings, device, compiled)
        mine = self.shares(settings.seeds)[self.rank]
        return Share(dataclasses.replace(settings, seeds=mine), device, compiled)

    def scatter(
        self, tensors: dict[str, Tensor], seeds: tuple[int, ...]
    ) -> dict[str, Tensor]:
        """Return of the tensors of all seeds those of this worker's share.

        Raises:
            ValueError: a tensor that has not a row for each seed.
        """
        if self.size == 1:
            return tensors
        for name, tensor in tensors.items():
            shape = tuple(tensor.shape)
            if name not in SHARED and shape[:1] != (len(seeds),):
                needs = ", ".join(["", *map(str, shape[1:])])
                raise ValueError(f"{name}: got {shape}, needs ({len(seeds)}{needs})")
        sizes = [len(share) for share in self.shares(seeds)]
        return {
            name: tensor if name in SHARED else torch.split(tensor, sizes)[self.rank]
            for name, tensor in tensors.items()
        }

    def gather(self, training: Trainer, seeds: tuple[int, ...]) -> dict[str, Tensor]:
        """Return the tensors of all seeds to the first worker; all have to ask for it.

        The others get those of their own share back.
        """
        tensors = training.state_dict()
        if self.size == 1:
            return tensors
        sizes = [len(share) for share in self.shares(seeds)]
        return {
            name: tensor if name in SHARED else self._gather(tensor.cpu(), sizes)
            for name, tensor in tensors.items()
        }

    def all_gather_json(self, value: Any) -> list[Any]:
        """Return what each worker has given here, in their order: any JSON value."""
        return [value] if self.size == 1 else _everyone(value)

    def _gather(self, rows: Tensor, sizes: list[int]) -> Tensor:
        with _meeting():
            if not self.is_main:
                dist.send(rows.contiguous(), dst=0)
                return rows
            parts = [rows, *(rows.new_empty(n, *rows.shape[1:]) for n in sizes[1:])]
            for rank, part in enumerate(parts[1:], start=1):
                dist.recv(part, src=rank)
        return torch.cat(parts)


ALONE = Worker()


class Share(Trainer):
    """A worker's part of a training: it goes on and ends together with the others.

    Its parameters and tensors are those of its own seeds; the rows of the curve, and
    the seeds that have stopped, are after each evaluation those of all workers.
    """

    def __init__(self, settings: Settings, device: torch.device | str, compiled: bool):
        super().__init__(settings, device, compiled)
        self.any_runs = True

    @property
    def finished(self) -> bool:
        """Whether all sequences are seen, or no worker has a seed left running."""
        return self.sequences >= self.settings.sequences or not self.any_runs

    def update(self) -> None:
        """Learn from one batch, and wait until the others have."""
        super().update()
        self._meet()

    def evaluate(self) -> list[Evaluation]:
        """Return how each running seed does, of all workers."""
        mine = [row for row in self.stopped if row.seed in self.settings.seeds]
        told = _everyone([super().evaluate(), mine])
        stopped = [Stopped(*row) for _, rows in told for row in rows]
        self.stopped = sorted(stopped, key=lambda row: row.update)
        return [Evaluation(*row) for rows, _ in told for row in rows]

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Go on from this worker's `Worker.scatter` of the tensors of all seeds."""
        super().load_state_dict(tensors)
        self._meet()

    def _meet(self) -> None:
        running = torch.tensor([int(self.active.any())])
        with _meeting():
            dist.all_reduce(running)
        self.any_runs = bool(running)


def from_env() -> Worker:
    """Return what torchrun has told this process; alone if it was started by itself."""
    told = os.environ
    if "TORCHELASTIC_RUN_ID" not in told:
        return Worker()
    return Worker(
        rank=int(told["RANK"]),
        size=int(told["WORLD_SIZE"]),
        local_rank=int(told["LOCAL_RANK"]),
        local_size=int(told["LOCAL_WORLD_SIZE"]),
        restarts=int(told["TORCHELASTIC_RESTART_COUNT"]),
    )


_store: Any = None  # a `torch.distributed.Store`, once joined


@contextlib.contextmanager
def process_group() -> Iterator[Worker]:
    """Join the other workers, if there are any, until the work is done.

    No limit of time is set: a worker that dies closes its connections, which ends the
    waiting of all others at once, while one that compiles may take minutes.

    Raises:
        WorkerError: another worker was lost, or torchrun says to stop.
    """
    global _store
    worker = from_env()
    if worker.size == 1:
        yield worker
        return
    with _meeting():
        store, rank, size = next(rendezvous("env://"))
        # What was agreed on before a restart still stands in the store.
        _store = PrefixStore(f"ntm/{worker.restarts}", store)
        dist.init_process_group("gloo", store=_store, rank=rank, world_size=size)
    signal.signal(signal.SIGTERM, _stop)
    yield worker
    # Only now: what has gone wrong can no longer be sorted out, and ends the process.
    dist.destroy_process_group()


def claim_error_report() -> bool:
    """Return whether it is for this worker to say what went wrong; True for only one.

    One cause stops all workers.  Whoever comes first is the nearest to it.
    """
    worker = from_env()
    if worker.size == 1:
        return True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it stops already
    if _store is None:  # a wrong command, which is the same for all
        return worker.is_main
    try:
        return bool(_store.add("spoken", 1) == 1)
    except RuntimeError:
        return True


def _stop(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise WorkerError


@contextlib.contextmanager
def _meeting() -> Iterator[None]:
    """Gloo's errors are pages about sockets; the reason is that the other is gone."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerError from error


def _everyone(value: Any) -> list[Any]:
    text = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
    size = dist.get_world_size()
    with _meeting():
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(size)]
        dist.all_gather(sizes, torch.tensor([len(text)]))
        longest = max(int(n) for n in sizes)
        texts = [text.new_empty(longest) for _ in sizes]
        dist.all_gather(texts, torch.cat([text, text.new_zeros(longest - len(text))]))
    told = zip(texts, sizes, strict=True)
    return [json.loads(bytes(text[: int(n)].tolist())) for text, n in told]
