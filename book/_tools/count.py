"""Count again what is claimed of trained machines: ``count.py [NAME …]``.

Below ``book/machines/`` lie the weights of every seed behind a published table.  Here
they are put to the sizes of which something is published, on sequences that nothing
else has used, and what comes out is set beside it.  With ``--store`` it is published in
its place, at all sizes of the protocol (``book/protocol.md``) up to ``--most``.
``--keep RUN`` takes over the seeds of a run; ``--ship`` puts the one in the middle into
the package.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ntm import pretrained
from ntm.book.counts import PUBLISHED, SEEDS, VECTORS
from ntm.runs import files, tables, trained
from ntm.runs.run import Run
from ntm.tasks import Task
from ntm.tasks.base import bits_asked
from ntm.training.evaluation import Result, Trial, evaluate_seeds
from ntm.training.settings import Settings
from ntm.training.stacked import stacked_models
from ntm.training.trainer import solved_after

MACHINES = Path(__file__).parents[1] / "machines"
SHIPPED = Path(pretrained.__file__).parent

NEAR: dict[str, list[int] | list[tuple[int, ...]]] = {
    "copy": [*range(1, 21), *range(30, 130, 10)],
    "associative-recall": [*range(2, 7), 8, 10, 12, 15, 20],
    "repeat-copy": [
        *((length, k) for length in (1, 2, 5, 10) for k in range(1, 11)),
        *((10, k) for k in (11, 12, 15, 20)),
        *((20, k) for k in (1, 2, 5, 10)),
    ],
    "n-grams": [50, 100, 200, 400, 1000],
    "priority-sort": [(4, 3), (8, 6), (12, 9), (16, 12), (20, 16), (30, 24), (40, 32)],
}
"""Of each task the sizes at which a memory has the locations of its settings."""

FAR: dict[str, list[tuple[int, int]]] = {
    "copy": [(500, 1024), (1000, 1024), (1000, 2048), (10_000, 16_384)],
    "associative-recall": [(20, 256), (50, 512)],
    "repeat-copy": [],
    "n-grams": [(200, 128), (200, 256), (400, 512), (1000, 1024)],
    "priority-sort": [],
}
"""And those at which it has others; an LSTM without one is not asked there."""

ASIDE = {(1000, 2048), *((n, h, 128) for n, h in [(4, 3), (8, 6), (12, 9), (16, 12)])}
"""Ask only whether more room helps, or whether fewer vectors are sorted than the last
stage had, and have no part in the order of the seeds."""

SEQUENCES: dict[tuple[str, tuple[int, ...]], int] = {
    ("associative-recall", (50,)): 200,
    ("n-grams", (1000,)): 200,
} | {("n-grams", (length,)): 1000 for length in (50, 100, 200, 400)}
"""Of how many a size has where it is not the vectors that count: so many vectors of 50
items would take hours, and a vector of n-grams is one bit."""


def trials(settings: Settings) -> list[Trial]:
    """Return the sizes of the protocol, and how many locations there are for each."""
    if settings.task not in NEAR:
        raise SystemExit(f"count.py: no protocol for {settings.task} yet")
    near = [n if isinstance(n, tuple) else (n,) for n in NEAR[settings.task]]
    if settings.model == "baseline":
        return [Trial(size) for size in near]
    own, far = settings.memory_locations, FAR[settings.task]
    wanted = [Trial(size, own) for size in near] + [Trial((n,), m) for n, m in far]
    return list(dict.fromkeys(wanted))


def sequences(task: Task, trial: Trial) -> int:
    """Return how many sequences of a size every seed answers."""
    vectors = bits_asked(task, trial.size) // task.output_size
    return SEQUENCES.get((task.name, trial.size), -(-VECTORS // vectors))


def keep(run: Path, folder: Path) -> None:
    """Take over card, curve and the averaged parameters of every seed of a run."""
    finished = Run.resume(run, compiled=False)
    folder.mkdir(parents=True, exist_ok=True)
    weights = finished.training.stacked.named(finished.training.ema)
    whole = {name: part.contiguous() for name, part in weights.items()}
    files.write_bytes(folder / SEEDS, save(whole))
    tables.write_curve(folder / files.CURVE, finished.curve)
    if (before := run / files.PREVIOUS_STAGE_CURVE).exists():
        files.write_bytes(folder / before.name, before.read_bytes())
    card = files.read_json(run / files.CARD)
    # The curve is written with fewer digits than the run had, and may just miss a line.
    solved = solved_after(tables.read_curve(folder / files.CURVE))
    card["solved"] = {str(seed): when for seed, when in solved.items()}
    for name in ("seed", "chosen", "results", "weights", "weights_sha256"):
        del card[name]  # of the one seed that the run itself has kept
    files.write_json(folder / files.CARD, card)


def load(folder: Path) -> tuple[Settings, Tensor]:
    """Return the settings of a run that was kept, and its seeds' parameters."""
    settings = Settings.from_json(files.read_json(folder / files.CARD)["settings"])
    parts = files.read_tensors(folder / SEEDS)
    names = dict(settings.make_model(0).named_parameters())
    return settings, torch.cat([parts[name].flatten(1) for name in names], dim=1)


def count(
    folder: Path, wanted: list[Trial], seed: int, device: str = "cpu"
) -> Iterator[dict[int, list[Result]]]:
    """Give what every seed does at each size in turn."""
    settings, parameters = load(folder)
    model, task = settings.make_model(0).to(device), settings.make_task()
    # What a GPU replays as one graph needs no compiler.
    stacked, parameters = stacked_models(model, device == "cpu"), parameters.to(device)
    for trial in wanted:
        number = sequences(task, trial)
        size, locations = trial
        rows = evaluate_seeds(stacked, parameters, task, size, number, seed, locations)
        yield {s: [row] for s, row in zip(settings.seeds, rows, strict=True)}


def ranking(
    settings: Settings, published: dict[int, list[Result]]
) -> dict[int, tuple[float, float]]:
    """Return the seeds in the protocol's order, the best first, and what decides it.

    That is the wrong bits of each at the sizes of training and at those beyond, in all
    that is published, or what a sequence costs there above the optimum; of equals the
    lower seed comes first.
    """
    largest = settings.make_task().test_size
    wrong = {seed: [0.0, 0.0] for seed in sorted(published)}
    for seed, rows in published.items():
        for r in rows:
            if r.where in ASIDE:
                continue
            sizes = zip(r.size.values(), largest, strict=True)
            beyond = any(size > most for size, most in sizes)
            wrong[seed][beyond] += r.wrong_bits if r.excess is None else r.excess
    order = sorted(wrong, key=wrong.__getitem__)
    return {seed: (wrong[seed][0], wrong[seed][1]) for seed in order}


def ship(folder: Path, shipped: Path) -> None:
    """Put the seed in the middle of the ranking, the sixteenth of 32, into a folder.

    Args:
        folder: of the kept seeds, with what is published of them.
        shipped: where its weights and its card go.
    """
    settings, _ = load(folder)
    published = tables.read_trials(folder / files.TRIALS)
    order = ranking(settings, published)
    rank = (len(order) + 1) // 2
    seed = list(order)[rank - 1]
    inside, beyond = order[seed]
    equals = list(order.values()).count(order[seed]) - 1
    task = settings.make_task()
    sizes = zip(task.size_names, task.test_size, strict=True)
    trained_on = " and ".join(f"{name} {most}" for name, most in sizes)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank, "th")
    by_cost = published[seed][0].excess is not None
    what, digits = ("bits above the optimum", 1) if by_cost else ("wrong bits", 0)
    like = f", like {equals} others" if equals else ""
    chosen = (
        f"{rank}{ending} of {len(order)} seeds by {what}: {inside:,.{digits}f} up to "
        f"{trained_on} and {beyond:,.{digits}f} beyond{like}"
    )
    row = settings.seeds.index(seed)
    parts = files.read_tensors(folder / SEEDS)
    card = files.read_json(folder / files.CARD)
    names = [name for name, _ in settings.make_model(0).named_parameters()]
    results = [r.to_json() for r in published[seed]]
    shipped.mkdir(parents=True, exist_ok=True)
    trained.save(
        shipped,
        {name: parts[name][row].contiguous() for name in names},
        card | {"seed": seed, "chosen": chosen, "results": results},
    )
    print(f"{shipped.name}: seed {seed}, {chosen}")


def exact(results: dict[int, list[Result]], where: tuple[int | None, ...]) -> str:
    """Return how many seeds made no mistake there, and the wrong bits of the others.

    Where chance decides, what a sequence costs each seed above the optimum.
    """
    rows = [r for mine in results.values() for r in mine if r.where == where]
    if above := sorted(r.excess for r in rows if r.excess is not None):
        return "bits above the optimum " + " ".join(f"{bits:.2f}" for bits in above)
    wrong = sorted(r.wrong_bits for r in rows if r.wrong_bits)
    return f"{len(rows) - len(wrong):3d} of {len(rows)}, wrong bits {wrong}"


def main() -> None:
    """Count, and print or publish it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="folders of book/machines")
    parser.add_argument("--keep", type=Path, help="a finished run, to take over first")
    parser.add_argument("--seed", type=int, help="of the sequences")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument(
        "--machines", type=Path, default=MACHINES, help="in the place of book/machines"
    )
    parser.add_argument("--least", type=int, default=0, help="the smallest length")
    parser.add_argument("--most", type=int, default=10_000, help="the largest length")
    parser.add_argument("--store", action="store_true", help="publish what comes out")
    parser.add_argument("--ship", action="store_true", help="only ship the median seed")
    options = parser.parse_args()
    if options.ship:
        for name in options.names:
            ship(options.machines / name, SHIPPED / name)
        return
    torch.set_num_threads(1)
    if options.keep:
        (name,) = options.names
        keep(options.keep, options.machines / name)
    seed = PUBLISHED if options.store else 2 if options.seed is None else options.seed
    for path in sorted(options.machines.glob(f"*/{SEEDS}")):
        folder, began = path.parent, time.monotonic()
        if options.names and folder.name not in options.names:
            continue
        published = tables.read_trials(folder / files.TRIALS)
        known = {r.where for rows in published.values() for r in rows}
        wanted = [
            trial
            for trial in trials(load(folder)[0])
            if options.least <= trial.size[0] <= options.most
            and (options.store or (*trial.size, trial.memory_locations) in known)
        ]
        for new in count(folder, wanted, seed, options.device):
            (where,) = {r.where for rows in new.values() for r in rows}
            print(f"{folder.name} {where} in {time.monotonic() - began:.0f} s")
            print(f"   now:       {exact(new, where)}", flush=True)
            if options.store:
                for s, rows in new.items():
                    old = [r for r in published.get(s, []) if r.where != where]
                    published[s] = old + rows
                tables.write_trials(folder / files.TRIALS, published)
            else:
                print(f"   published: {exact(published, where)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
