"""How fast training is, beside the matrix products that it cannot do without.

Everything in a table is measured in one run, machine and floor in turns, because the
same computer is not equally fast at all times.  On one thread of the CPU the seconds
are those that the processor spent on this program, so that others do not count.
"""

import gc
import json
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from ntm import minimal
from ntm.runs.provenance import device_name, versions
from ntm.tasks import TASKS, Copy, Task
from ntm.tasks.base import Size, steps
from ntm.training.settings import Settings
from ntm.training.trainer import Trainer

LENGTH = 20
WIDTH, SIZE = 20, 100
COPY = Copy()


def floor(
    seeds: int,
    batch: int,
    device: torch.device,
    task: Task = COPY,
    size: Size = (LENGTH,),
    controller: str = "lstm",
) -> Callable[[], None]:
    """Return a function that does one update's matrix products and nothing else.

    The machine is the default one of 128 locations, the sequences are of this size.
    For each step the products of the controller's layer, the heads and the output, one
    a seed; and for each sequence the key with the memory, twice, and the weighting with
    the memory.  Forward one product each, backward two: by what went in, and by the
    weights or the memory.  They are called one by one, as large as a step makes them,
    without autograd, and their results are thrown away.

    The add is an outer product and left out, though our machine does it as a product.
    Nor is this the least time possible: to gather the gradients of the weights over
    all steps, as the compiled machine does, is faster.
    """

    def r(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device)

    first = (task.input_size + WIDTH + SIZE, 4 * SIZE)
    if controller == "feedforward":
        first = (task.input_size + WIDTH, SIZE)
    last = (SIZE + WIDTH, task.output_size)
    sizes, times = (first, (SIZE, 4 * WIDTH + 12), last), range(steps(task, size))
    layers = [
        (r(seeds, batch, i), r(seeds, o, i), r(seeds, batch, o)) for i, o in sizes
    ]
    memory, key, weighting = (
        r(seeds * batch, *shape) for shape in ((128, WIDTH), (1, WIDTH), (1, 128))
    )
    if seeds == 1:
        layers = [tuple(t[0] for t in layer) for layer in layers]  # type: ignore[misc]

    def work() -> None:
        for _ in times:
            for x, weight, _g in layers:
                x @ weight.mT
            for _head in range(2):
                key @ memory.mT
            weighting @ memory
        for _ in times:
            for x, weight, g in layers:
                g @ weight
                g.mT @ x
            for _head in range(2):
                weighting @ memory
                weighting.mT @ key
            key @ memory.mT
            weighting.mT @ key

    return work


def training(
    seeds: int,
    batch: int,
    device: torch.device,
    compiled: bool = True,
    task: Task = COPY,
    size: Size = (LENGTH,),
    locations: int = 128,
) -> Trainer:
    """Return a training of a task as it comes, all sequences of this size."""

    def this_size(*_: Any) -> Size:
        return size

    settings = Settings(
        task=task.name,
        seeds=tuple(range(seeds)),
        batch_size=batch,
        evaluate_every=batch,
        sequences=10**9,
        memory_locations=locations,
    )
    made = Trainer(settings, device, compiled)
    kind = type(task)
    made.training_task = type(kind.__name__, (kind,), {"draw_size": this_size})()
    return made


def plain_update(
    batch: int, device: torch.device, length: int = LENGTH
) -> Callable[[], None]:
    """Return an update of `ntm.minimal`, as its own training does it."""
    machine = minimal.NTM(COPY.input_size, COPY.output_size).to(device)
    optimizer = torch.optim.Adam(machine.parameters())

    def update() -> None:
        inputs, vectors = (t.to(device) for t in minimal.copy(batch, length))
        answer = machine(inputs)[-length:]
        loss = nn.functional.binary_cross_entropy_with_logits(answer, vectors)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(machine.parameters(), 1.0)
        optimizer.step()

    return update


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def seconds(
    works: list[Callable[[], None]], device: torch.device, least: float
) -> list[float]:
    """Return the least seconds that one call of each takes, measured in turns.

    Each is called once to get ready, then for at least so many seconds, in turns.
    """
    for work in works:
        work()
    best = [float("inf")] * len(works)
    spent, rounds = 0.0, 0
    while spent < least * len(works) or rounds < 2:
        for k, work in enumerate(works):
            began = _clock(device)
            work()
            took = _clock(device) - began
            best[k] = min(best[k], took)
            spent += took
        rounds += 1
    return best


def peak(work: Callable[[], None], device: torch.device) -> int:
    """Return the most bytes of tensors in use during a call.

    On a GPU with all that was there before; on the CPU what is allocated on top of it,
    by PyTorch's own count of each allocation.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return int(torch.cuda.max_memory_allocated(device))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        work()
    events = watched.profiler.kineto_results.events()
    changes = [e for e in events if e.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return int(max(accumulate((event.nbytes() for event in changes), initial=0)))


def lowered(made: Trainer) -> Trainer:
    """Let a training compute forward and backward in bfloat16; the update stays."""
    plain = made.learners[1.0]

    def population(parameters: Tensor, inputs: Tensor, **settings: int) -> Tensor:
        kind = torch.bfloat16
        return plain(parameters.to(kind), inputs.to(kind), **settings).float()

    made.learners[1.0] = population  # type: ignore[assignment]
    return made


class Case(NamedTuple):
    """What one line of the table measures."""

    variant: str
    seeds: int
    batch: int
    task: str = Copy.name


class Row(NamedTuple):
    """One line of the table; the names are those of the JSON."""

    task: str
    variant: str
    device: str
    threads: int
    batch: int
    seeds: int
    sequences_per_second: float
    floor_sequences_per_second: float
    peak_bytes: int


def measured(case: Case, device: torch.device, least: float) -> Row:
    """Return one line: an update of this variant, in turns with its floor."""
    variant, seeds, batch, name = case
    work: Callable[[], None]
    task = TASKS[name]()
    size = task.test_size
    controller = "feedforward" if variant == "plain" else "lstm"
    if variant == "plain":
        work = plain_update(batch, device)
    else:
        made = training(seeds, batch, device, "eager" not in variant, task, size)
        if "bfloat16" in variant:
            made = lowered(made)
        made.replays = device.type == "cuda" and variant not in ("eager", "compiled")
        work = made.update
    products = floor(seeds, batch, device, task, size, controller)
    ours, least_of_all = seconds([work, products], device, least)
    return Row(
        name,
        variant,
        device.type,
        torch.get_num_threads(),
        batch,
        seeds,
        seeds * batch / ours,
        seeds * batch / least_of_all,
        peak(work, device),
    )


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Return what is measured: copying in all variants, the other tasks in one."""
    if quick:
        return [Case("plain", 1, 1), Case("eager", 1, 1), Case("eager", 8, 1)]
    on_gpu = device.type == "cuda"
    alone = ["plain", "eager", "compiled"]
    if on_gpu:
        alone += ["CUDA graph, eager", "CUDA graph", "CUDA graph, bfloat16"]
    batches = (1, 16, 64)
    found = [Case(variant, 1, batch) for variant in alone for batch in batches]
    if on_gpu:
        several = ["CUDA graph", "CUDA graph, bfloat16"]
        found += [Case(v, s, 16) for v in several for s in (8, 32, 128, 512)]
    else:
        found += [Case("many seeds", 8, 8)]
        found += [Case("many seeds", s, b) for s in (8, 32) for b in batches]
    variant = "CUDA graph" if on_gpu else "many seeds"
    return found + [Case(variant, 8, 4, task) for task in TASKS]


def growth(device: torch.device, quick: bool, least: float) -> dict[str, Any]:
    """Return how time grows with length, locations and seeds, batch 16.

    For each size the seconds of an update, and its ratio to the first size's divided by
    the ratio of the sizes: at most 1 when time grows no faster than the size.
    """
    sizes = {
        "length": (1, 2) if quick else (20, 50, 100, 200, 500, 1000),
        "locations": (16, 32) if quick else (128, 512, 1024, 4096),
        "seeds": (1, 2) if quick else (1, 8, 32, 128),
    }
    found: dict[str, Any] = {}
    for name, values in sizes.items():
        rows: list[dict[str, float]] = []
        for value in values:
            given = {"seeds": 1, "length": LENGTH, "locations": 128} | {name: value}
            seeds, length, locations = given.values()
            size = (min(length, 2) if quick else length,)
            made = training(
                seeds, 16, device, not quick, size=size, locations=locations
            )
            (took,) = seconds([made.update], device, least)
            first = rows[0] if rows else {"size": value, "seconds": took}
            relative = took / first["seconds"] / (value / first["size"])
            rows.append({"size": value, "seconds": took, "relative": relative})
        found[name] = rows
    return found


def bench(device: torch.device, quick: bool = False, as_json: bool = False) -> None:
    """Measure, and print a table or one JSON object with the same numbers.

    Chapter: *How fast*.
    """
    least = 0.1 if quick else 1.5
    rows = []
    if not as_json:
        print(f"{'task':20}{'variant':22}{'seeds':>6}{'batch':>6}", end="")
        print(f"{'sequences/s':>13}{'floor':>10}{'ratio':>7}{'peak MB':>9}")
    for case in cases(device, quick):
        row = measured(case, device, least)
        rows.append(row)
        gc.collect()
        if not as_json:
            rate, limit = row.sequences_per_second, row.floor_sequences_per_second
            print(
                f"{row.task:20}{row.variant:22}{row.seeds:>6}{row.batch:>6}{rate:>13.1f}"
                f"{limit:>10.1f}{rate / limit:>7.2f}{row.peak_bytes / 1e6:>9.1f}",
                flush=True,
            )
    grown = growth(device, quick, least / 3)
    if as_json:
        print(
            json.dumps(
                {
                    "rows": [row._asdict() for row in rows],
                    "growth": grown,
                    "versions": versions(),
                    "device_name": device_name(device),
                }
            )
        )
        return
    for name, sizes in grown.items():
        print(f"\n{name:>10}{'seconds':>12}{'relative':>10}  (at most 1: linear)")
        for size in sizes:
            print(
                f"{size['size']:>10}{size['seconds']:>12.4f}{size['relative']:>10.2f}"
            )
