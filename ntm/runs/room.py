"""Memory, in bytes: what a seed needs, what is free, and how many seeds fit.

A run that cannot fit is refused before anything is made.  The need is a lower bound, so
that no run is refused that would work; if memory runs out after all, that is said in
the same words.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as pytree

from ntm.runs.processes import ALONE, Worker
from ntm.training.settings import Settings
from ntm.training.stacked import StackedModels

COMPILED = 1 / 6
"""What a compiled update keeps at least of what is kept for the gradient without it.

Measured on a CPU: 0.21 with two heads, 0.31 with one, as much for the baseline.
"""


class RoomError(ValueError):
    """More seeds than fit in memory."""


def needed(settings: Settings, compiled: bool = True) -> float:
    """Return how many bytes each seed takes at least.

    Its parameters, their average, gradient and the optimiser's three numbers for each;
    and the larger of what an update keeps for the gradient, at the largest size, and
    what an evaluation needs: the sequences, and two states for each, one before and one
    after a step.  The first is counted in one step and in three of one seed; all steps
    between keep alike.
    """
    model, task = settings.make_model(0), settings.make_task()
    numbers = sum(p.numel() for p in model.parameters())
    example = task.batch(torch.Generator(), 1, *task.test_size)
    one, three = (_kept(settings, steps) for steps in (1, 3))
    update = one + (three - one) / 2 * (len(example.inputs) - 1)
    state = pytree.tree_leaves(model.initial_state(1))  # type: ignore[operator]
    each = sum(tensor.numel() for tensor in (*state, *state, *example))
    evaluation = 4 * each * settings.evaluation_sequences
    kept = update * (COMPILED if compiled else 1)
    return float(6 * 4 * numbers + max(kept, evaluation))


def free(device: torch.device) -> float:
    """Return how many bytes a process could have: infinity where nobody knows.

    On a CPU what Linux calls available, or what is left to the container, if less.
    """
    if device.type == "cuda":
        unused, _ = torch.cuda.mem_get_info(device)
        return float(unused + torch.cuda.memory_reserved(device))
    return min(_available(Path("/proc/meminfo")), _allowed(Path("/sys/fs/cgroup")))


def require(
    settings: Settings,
    device: torch.device | str = "cpu",
    compiled: bool = True,
    worker: Worker = ALONE,
) -> None:
    """Refuse seeds that cannot fit.

    Raises:
        RoomError: how many would fit.
    """
    room = free(torch.device(device))
    fit, need = _fit(settings, device, compiled, worker, room)
    if fit < len(settings.seeds):
        raise RoomError(_too_many(settings, fit, need, room))


@contextlib.contextmanager
def enough(
    settings: Settings,
    device: torch.device | str = "cpu",
    compiled: bool = True,
    worker: Worker = ALONE,
) -> Iterator[None]:
    """Say how many seeds would fit, if there is not memory enough for what is done.

    Raises:
        RoomError: how many would fit: fewer than there are, whatever the estimate.
    """
    room = free(torch.device(device))
    try:
        yield
    except RuntimeError as error:
        # What the CPU's allocator raises has no class of its own.
        ran_out = isinstance(error, torch.OutOfMemoryError)
        if not ran_out and "can't allocate memory" not in str(error):
            raise
        fit, need = _fit(settings, device, compiled, worker, room)
        fewer = min(fit, len(settings.seeds) - 1)
        raise RoomError(_too_many(settings, fewer, need, room)) from error


def _fit(
    settings: Settings,
    device: torch.device | str,
    compiled: bool,
    worker: Worker,
    room: float,
) -> tuple[float, float]:
    """Return how many seeds all workers together have room for, and bytes of each."""
    need, sharing = needed(settings, compiled), worker.local_size
    if torch.device(device).type == "cuda":
        sharing = math.ceil(sharing / torch.cuda.device_count())
    # Uneven shares: each worker has to hold the largest.
    return room / sharing // need * worker.size, need


def _too_many(settings: Settings, fit: float, need: float, room: float) -> str:
    each = f"{need / 1e9:.1f} GB" if need >= 1e9 else f"{need / 1e6:.1f} MB"
    return (
        f"seeds: got {len(settings.seeds)}, needs at most about {fit:.0f} to fit the "
        f"{room / 1e9:.1f} GB that are free; each takes {each} or more"
    )


def _kept(settings: Settings, steps: int) -> int:
    """Return the bytes that one seed keeps for the gradient in so many steps."""
    model = settings.make_model(0)
    population = StackedModels(model, compiled=False)
    parameters = population.stack([model]).requires_grad_()
    size = settings.make_task().input_size
    inputs = torch.zeros(steps, 1, settings.batch_size, size)
    few = settings.training_locations
    kept: dict[int, Tensor] = {}  # holds them, so that no place is taken twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(keep, lambda tensor: tensor):
        population(parameters, inputs, **({"memory_locations": few} if few else {}))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _available(path: Path) -> float:
    try:
        rows = dict(line.split(":") for line in path.read_text().splitlines())
        return 1024.0 * int(rows["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return math.inf


def _allowed(folder: Path) -> float:
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        rows = (folder / "memory.stat").read_text().splitlines()
        # Files that were read stay in memory only while nobody needs the room.
        files = int(dict(row.split() for row in rows)["inactive_file"])
    except (OSError, KeyError, ValueError):
        return math.inf
    return limit - used + files
