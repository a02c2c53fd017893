"""The command line: ``python -m ntm`` train, evaluate, bench and others.

A result goes to standard output, everything else to standard error.  What cannot be
done is said in one line; the exit code is then 1, or 2 for a wrong command.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

from ntm import pretrained
from ntm.controllers import CONTROLLERS
from ntm.runs import files, processes, trained
from ntm.runs.files import FolderError
from ntm.runs.run import Run, TooManySeedsError, default_trials, remove_unlearned
from ntm.tasks import TASKS
from ntm.tasks.options import described, from_text, in_training
from ntm.tasks.options import sizes as sizes_from
from ntm.training.evaluation import Result, Trial, evaluate, worth_compiling
from ntm.training.optimizers import OPTIMIZERS
from ntm.training.settings import MODELS, Settings
from ntm.training.stacked import CompilerError, stacked_models
from ntm.training.trainer import solved_after
from ntm.training.transcript import transcript

SEEDS = "0:16 (0 to 15), 3,7 or 5"
SEVERAL = (
    "Several processes share the seeds when torchrun starts them: torchrun "
    "--nproc-per-node 2 -m ntm ... Each has a card of its own with --device cuda. Any "
    "number can resume a run; with --max-restarts 3, torchrun itself does so when a "
    "process is lost."
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        # A wrong command is the same for all processes.
        self.exit(2, f"{self.prog}: {message}\n" if _is_first() else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    options = _parser().parse_args(arguments)
    act: Callable[[argparse.Namespace], int] = options.act
    try:
        return act(options)
    except (FolderError, CompilerError, TooManySeedsError) as error:
        _say(error)
        return 1
    except (ValueError, TypeError) as error:
        if _is_first():  # wrong settings are the same for all processes, too
            _say(error)
        return 1
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # torchrun sends both
            signal.signal(number, signal.SIG_IGN)
        if _is_first():
            _say("stopped; `resume` goes on from the last checkpoint")
        return 130


def _is_first() -> bool:
    return processes.position()[0] == 0


def _say(message: object) -> None:
    print(f"ntm: {message}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ntm", description="Neural Turing Machines.")
    commands = parser.add_subparsers(required=True, metavar="command")

    train = commands.add_parser(
        "train", help="train machines from nothing", epilog=SEVERAL
    )
    train.set_defaults(act=_train)
    said = described(Settings)
    train.add_argument("task", choices=sorted(TASKS), help=said["task"])
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument(
        "--init-from",
        type=Path,
        metavar="FOLDER",
        help="a finished run of the same seeds, from whose machines to go on",
    )
    _add_seeds(train, "one machine each: " + SEEDS, (0,))
    choices = {"model": MODELS, "controller": CONTROLLERS, "optimizer": OPTIMIZERS}
    for field in dataclasses.fields(Settings):
        if field.type in (int, float, str) and field.name != "task":
            train.add_argument(
                "--" + field.name.replace("_", "-"),
                type=field.type,
                choices=choices.get(field.name),
                metavar=str(field.default) if field.type is not str else None,
                help=f"{said[field.name]} Default: {field.default}",
            )
    _add_task_options(train)
    _add_compiled(train)
    _add_device(train)

    resume = commands.add_parser(
        "resume", help="go on with a run that was stopped", epilog=SEVERAL
    )
    resume.set_defaults(act=_resume)
    resume.add_argument("folder", type=Path, help="folder of the run")
    _add_compiled(resume)
    _add_device(resume)

    test = commands.add_parser("evaluate", help="count wrong bits, at any size")
    test.set_defaults(act=_evaluate)
    test.add_argument("model", help="folder of a run, or name of a shipped model")
    _add_sizes(test)
    _add_evaluation(test)
    test.add_argument(
        "--data-seed",
        type=int,
        default=0,
        help="the same number draws the same sequences; 0 unless given",
    )
    test.add_argument("--json", action="store_true", help="print one JSON object")
    test.add_argument("--save", action="store_true", help="add results to the card")
    _add_compiled(test)
    _add_device(test)

    choose = commands.add_parser("select", help="keep the seed that does best at this")
    choose.set_defaults(act=_choose)
    choose.add_argument("folder", type=Path, help="folder of a finished run")
    _add_sizes(choose)
    _add_evaluation(choose)
    choose.add_argument(
        "--give-up",
        type=float,
        default=1.0,
        metavar="1.0",
        help="a seed with a larger share of its bits wrong, 0 to 1, is not tried at "
        "larger sizes",
    )
    _add_seeds(choose, "those to try; all unless given: " + SEEDS, None)
    _add_compiled(choose)
    _add_device(choose)

    measure = commands.add_parser("bench", help="measure how fast training is")
    measure.set_defaults(act=_bench)
    measure.add_argument("--json", action="store_true", help="print one JSON object")
    measure.add_argument("--quick", action="store_true", help="a few small rows only")
    _add_device(measure)

    show = commands.add_parser("show", help="draw the curves, and one sequence")
    show.set_defaults(act=_show)
    show.add_argument("model", help="folder of a run, or name of a shipped model")
    show.add_argument("--out", type=Path, help="folder of the pictures")
    _add_sizes(show, 1)

    attempt = commands.add_parser("try", help="run a machine on your own bits")
    attempt.set_defaults(act=_try)
    attempt.add_argument("model", help="folder of a run, or name of a shipped model")
    attempt.add_argument(
        "bits", nargs="+", help="vectors of 0 and 1, a word each: 10110010 01100101"
    )
    return parser


def _add_seeds(parser: argparse.ArgumentParser, text: str, default: object) -> None:
    parser.add_argument(
        "--seeds", type=_seeds, default=default, metavar="0:16", help=text
    )


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a text such as ``0:16``, ``3,7`` or ``0:4,9``."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            start, colon, stop = part.partition(":")
            seeds += range(int(start), int(stop)) if colon else [int(start)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs {SEEDS}") from None
    return tuple(seeds)


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--memory-locations",
        type=int,
        help="locations of the memory; as many as in training unless given",
    )
    parser.add_argument(
        "--sequences",
        type=int,
        default=100,
        metavar="100",
        help="how many sequences of each size",
    )


def _add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--task.longest`` and whatever other options some task has."""
    usual: dict[str, list[str]] = {}
    said: dict[str, str] = {}
    for kind in TASKS.values():
        said |= described(kind)
        for name, value in in_training(kind, {}).items():
            usual.setdefault(name, []).append(f"{kind.name}: {value}")
    for name, values in usual.items():
        parser.add_argument(
            "--task." + name.replace("_", "-"),
            dest=f"task.{name}",
            metavar="VALUE",
            help=f"{said[name]} Default ({', '.join(values)})",
        )


def _add_sizes(parser: argparse.ArgumentParser, nargs: str | int = "+") -> None:
    """Add ``--length`` and whatever else the sizes of some task have."""
    of: dict[str, list[str]] = {}
    for kind in TASKS.values():
        for name in kind.size_names:
            of.setdefault(name, []).append(kind.name)
    for name, tasks in of.items():
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=int,
            nargs=nargs,
            dest=f"size.{name}",
            metavar="N",
            help=f"size of the sequences of {', '.join(tasks)}: {name} in vectors",
        )


def _given(options: argparse.Namespace, group: str) -> dict[str, Any]:
    """Return the options of one of the groups above that were given, by name."""
    start = f"{group}."
    given = {k: v for k, v in vars(options).items() if v is not None}
    return {k.removeprefix(start): v for k, v in given.items() if k.startswith(start)}


def _add_compiled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--eager",
        dest="compiled",
        action="store_false",
        help="without the compiler: slower, but at once",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, help="how many threads of the CPU")


def _keep_freed_memory() -> None:
    """Let the C library keep what an update frees, for the next one to use.

    Given back to the system, it would come again page by page, each of them cleared: up
    to 8 % of the time of an update.
    """
    trim_threshold, map_threshold = -1, -3  # as malloc.h of glibc names them
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(map_threshold, 2**30)


def _prepare(options: argparse.Namespace) -> torch.device:
    _keep_freed_memory()
    if options.threads is not None:
        if options.threads < 1:
            raise ValueError(f"threads: got {options.threads}, needs at least 1")
        torch.set_num_threads(options.threads)
    try:
        device = processes.place(torch.device(options.device))
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError):
        print(f"ntm: device: there is no {options.device} here", file=sys.stderr)
        raise SystemExit(2) from None
    return device


def _train(options: argparse.Namespace) -> int:
    names = {field.name for field in dataclasses.fields(Settings)}
    given = {k: v for k, v in vars(options).items() if k in names and v is not None}
    given["task_options"] = from_text(TASKS[options.task], _given(options, "task"))
    settings = Settings(**given)
    device, out, (rank, _) = _prepare(options), options.out, processes.position()
    # The first process makes the folder, unless torchrun has begun anew and it is
    # there; the others wait for it, and torchrun stops them if the first fails.
    while not (processes.by_torchrun() and Run.is_in(out, settings)):
        if rank == 0:
            Run.start(out, settings, device, options.compiled, options.init_from)
            break
        time.sleep(0.1)
    try:
        return _follow(out, device, options.compiled)
    except TooManySeedsError:
        remove_unlearned(out)
        raise


def _resume(options: argparse.Namespace) -> int:
    return _follow(options.folder, _prepare(options), options.compiled)


def _follow(folder: Path, device: torch.device, compiled: bool) -> int:
    """Train this process's share of a run; whoever is last says which seed is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for share in processes.shares(folder, *processes.position()):
        run = Run.resume(share, device, compiled)
        _train_to_the_end(run)
        if share == folder:
            print(f"{folder}: seed {trained.load(folder).card['seed']} is kept")
            return int(len(run.training.stopped) == len(run.settings.seeds))
    return 0


def _train_to_the_end(run: Run) -> None:
    """Train and say how it goes: a bar on a terminal, else a line a row."""
    from tqdm import tqdm

    training, settings = run.training, run.settings
    alone = processes.position()[1] == 1
    who = "" if alone else f"seeds {settings.seeds[0]} to {settings.seeds[-1]}: "
    bar = tqdm(
        total=settings.sequences,
        initial=training.sequences,
        unit=" sequences",
        disable=not (alone and sys.stderr.isatty()),
    )
    said, began = len(training.stopped), time.monotonic()
    first = training.sequences
    with bar:
        for rows in run:
            solved = sum(n is not None for n in solved_after(run.curve).values())
            bits = sum(row.bits for row in rows) / max(len(rows), 1)
            state = f"{bits:.2f} bits, {solved}/{len(settings.seeds)} solved"
            bar.update(training.sequences - bar.n)
            bar.set_postfix_str(state)
            if bar.disable:
                speed = (training.sequences - first) / (time.monotonic() - began)
                left = (settings.sequences - training.sequences) / speed
                print(
                    f"{who}{training.sequences} sequences: {state}, {left:.0f} s left",
                    file=sys.stderr,
                    flush=True,
                )
            for stopped in training.stopped[said:]:
                bar.write(f"ntm: {stopped}", file=sys.stderr)
            said = len(training.stopped)


def _open(name: str) -> tuple[Path, trained.Trained]:
    """Return a run folder or a shipped model."""
    folder = Path(name)
    if not folder.is_dir() and name in pretrained.available():
        folder = pretrained.folder(name)
    elif not folder.is_dir():
        known = ", ".join(pretrained.available()) or "none"
        raise FolderError(f"{name}: is neither a folder nor a shipped model ({known})")
    elif not (folder / files.CARD).exists():
        raise FolderError(f"{folder}: holds no trained machine; resume its run first")
    return folder, trained.load(folder)


def _evaluate(options: argparse.Namespace) -> int:
    device = _prepare(options)
    folder, (model, settings, card) = _open(options.model)
    task = settings.make_task()
    results: list[Result] = []
    sizes = sizes_from(task, _given(options, "size"))
    trials = [Trial(size, options.memory_locations) for size in sizes]
    many = options.sequences
    compiled = options.compiled and worth_compiling(model, task, trials, many)
    fast = stacked_models(model.to(device)) if compiled else None
    columns = (*task.size_names, "locations", "sequences", "wrong bits", "exact")
    if not options.json:
        print(*(f"{name:>10}" for name in columns))
    for size in sizes:
        result = evaluate(
            model.to(device),
            task,
            size,
            sequences=options.sequences,
            seed=options.data_seed,
            memory_locations=options.memory_locations,
            fast=fast,
        )
        results.append(result)
        if not options.json:
            locations = result.memory_locations or "–"
            counts = (result.sequences, result.wrong_bits, result.exact)
            print(*(f"{n:>10}" for n in (*size, locations, *counts)), flush=True)
    if options.json:
        print(json.dumps({"model": options.model, "results": _rows(results)}))
    if options.save:
        old = [Result.from_json(row) for row in card["results"]]
        kept = {r.where: r for r in (*old, *results)}
        merged = sorted(
            kept.values(), key=lambda r: (r.memory_locations or 0, *r.size.values())
        )
        files.write_json(folder / files.CARD, card | {"results": _rows(merged)})
    return 0


def _rows(results: list[Result]) -> list[dict[str, Any]]:
    return [result.to_json() for result in results]


def _choose(options: argparse.Namespace) -> int:
    run = Run.resume(options.folder, _prepare(options), options.compiled)
    if not run.training.finished:
        raise FolderError(f"{options.folder}: is not finished; resume it first")
    given = _given(options, "size")
    if given:
        sizes = sizes_from(run.training.task, given)
    else:
        sizes = [trial.size for trial in default_trials(run.settings)]
    trials = [Trial(size, options.memory_locations) for size in sizes]
    chosen = run.select_seed(trials, options.sequences, options.give_up, options.seeds)
    for seed, results in chosen.items():
        tried = (
            f"{r.wrong_bits} at {' × '.join(map(str, r.size.values()))}"
            for r in results
        )
        print(f"seed {seed}: wrong bits {', '.join(tried)}")
    print(f"{run.folder}: seed {trained.load(run.folder).card['seed']} is kept")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from ntm.fast.bench import bench

    if options.threads is None:
        options.threads = 1
    bench(_prepare(options), options.quick, options.json)
    return 0


def _show(options: argparse.Namespace) -> int:
    try:
        from ntm.book import run_figures
    except ModuleNotFoundError as error:
        raise FolderError(f"show: needs {error.name}; install it first") from error
    folder, (model, settings, _) = _open(options.model)
    out = options.out or folder
    task, given = settings.make_task(), _given(options, "size")
    (size,) = sizes_from(task, given) if given else [task.test_size]
    for path in run_figures.draw(folder, model, settings, out, size):
        print(path)
    return 0


def _try(options: argparse.Namespace) -> int:
    _, (model, settings, _) = _open(options.model)
    batch = settings.make_task().from_words(options.bits)
    for line in transcript(model, batch):
        print(line)
    return 0
