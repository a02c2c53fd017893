"""The command line: ``python -m ntm`` train, evaluate, bench and others.

A result goes to standard output, everything else to standard error.  What cannot be
done is said in one line; the exit code is then 1, or 2 for a wrong command.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import importlib
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
from ntm.runs.folder import remove_unlearned
from ntm.runs.out_of_memory import TooManySeedsError
from ntm.runs.run import Run
from ntm.tasks import TASKS
from ntm.tasks.options import described, from_text, in_training
from ntm.tasks.options import sizes as sizes_from
from ntm.training.evaluation import Result, Trial, evaluate, worth_compiling
from ntm.training.optimizers import OPTIMIZERS
from ntm.training.settings import MODELS, Settings
from ntm.training.stacked import CompilerError, stacked_models
from ntm.training.trainer import solved_after
from ntm.training.transcript import transcript

SEVERAL = (
    "Several processes share the seeds when torchrun starts them: torchrun "
    "--nproc-per-node 2 -m ntm ... Each has a card of its own with --device cuda. Any "
    "number can resume a run; with --max-restarts 3, torchrun itself does so when a "
    "process is lost."
)


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a text such as ``0:16``, ``3,7`` or ``0:4,9``."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            start, colon, stop = part.partition(":")
            seeds += range(int(start), int(stop)) if colon else [int(start)]
    except ValueError:
        needs = "needs seeds such as 0:16, 3,7 or 5"
        raise argparse.ArgumentTypeError(f"got {text!r}, {needs}") from None
    return tuple(seeds)


def _option(text: str, **more: Any) -> dict[str, Any]:
    return {"help": text} | more


OPTIONS = {
    "model": _option("name of a shipped model, or folder of a run (./NAME)"),
    "folder": _option("folder of a run", type=Path),
    "bits": _option("what the task takes, a word each", nargs="+"),
    "--out": _option("folder to write to", type=Path),
    "--init-from": _option(
        "folder of a finished run of the same seeds, to go on with its machines",
        type=Path,
    ),
    "--seeds": _option(
        "a machine each: 0:16 for 0 to 15, or 3,7, or 5; unless given, all there are, "
        "or 0 in a new run",
        type=_seeds,
        metavar="0:16",
    ),
    "--memory-locations": _option(
        "locations of the memory; as many as in training unless given",
        type=int,
        metavar="N",
    ),
    "--sequences": _option(
        "how many sequences of each size", type=int, default=100, metavar="100"
    ),
    "--give-up": _option(
        "a seed with a larger share of its bits wrong, 0 to 1, is tried at no larger "
        "sizes",
        type=float,
        default=1.0,
        metavar="1.0",
    ),
    "--data-seed": _option(
        "a number; the same draws the same sequences", type=int, default=0, metavar="0"
    ),
    "--json": _option("print one JSON object", action="store_true"),
    "--save": _option("add results to the card", action="store_true"),
    "--quick": _option("a few small rows only", action="store_true"),
    "--eager": _option(
        "without the compiler: slower, but at once",
        dest="compiled",
        action="store_false",
    ),
    "--device": _option("cpu, cuda or cuda:1", default="cpu"),
    "--threads": _option("threads of the CPU", type=int, metavar="N"),
}
"""All options but those of `Settings` and of tasks, whose docstrings tell of them."""


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

    def command(
        act: Callable[[argparse.Namespace], int], text: str, options: str, **more: Any
    ) -> argparse.ArgumentParser:
        name = act.__name__.removeprefix("_")
        made = commands.add_parser(name, help=text, description=text, **more)
        made.set_defaults(act=act)
        for option in options.split():
            made.add_argument(option, **OPTIONS[option])
        return made

    computer = " --eager --device --threads"
    text = "train machines from nothing"
    train = command(_train, text, "--init-from --seeds" + computer, epilog=SEVERAL)
    train.add_argument("--out", required=True, **OPTIONS["--out"])
    _add_settings(train)
    text = "go on with a run that was stopped"
    command(_resume, text, "folder" + computer, epilog=SEVERAL)
    trials = " --memory-locations --sequences"
    once = " --data-seed --json --save"
    text = "count wrong bits, at any size"
    _add_sizes(command(_evaluate, text, "model" + trials + once + computer))
    text = "keep the seed that does best at this"
    _add_sizes(command(_select, text, "folder --seeds --give-up" + trials + computer))
    command(_bench, "measure how fast training is", "--json --quick --device --threads")
    _add_sizes(command(_show, "draw the curves, and one sequence", "model --out"), 1)
    takes = (f"{task.name}: {task.example}" for task in TASKS.values() if task.example)
    text = "run a machine on your own bits"
    command(_try, text, "model bits", epilog=f"What tasks take: {'; '.join(takes)}.")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what `Settings` and the tasks' options are made of."""
    said = described(Settings)
    parser.add_argument("task", choices=sorted(TASKS), help=said["task"])
    choices: dict[str, Any] = {
        "model": MODELS,
        "controller": CONTROLLERS,
        "optimizer": OPTIMIZERS,
    }
    for field in dataclasses.fields(Settings):
        if field.type in (int, float, str) and field.name != "task":
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type=field.type,
                choices=choices.get(field.name),
                metavar=None if field.type is str else str(field.default),
                help=f"{said[field.name]} Default: {field.default}",
            )
    several: dict[str, Any] = {"training_locations": int, "training_strengths": float}
    for name, of in several.items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=of, nargs="+", metavar="N", help=said[name])
    usual: dict[str, list[str]] = {}
    for kind in TASKS.values():
        said |= described(kind)
        for name, value in in_training(kind, {}).items():
            usual.setdefault(name, []).append(f"{value} for {kind.name}")
    for name, values in usual.items():
        parser.add_argument(
            "--task." + name.replace("_", "-"),
            metavar="N",
            help=f"{said[name]} Default: {', '.join(values)}",
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
            help=f"{name} of the sequences of {', '.join(tasks)}, a whole number",
        )


def _given(options: argparse.Namespace, group: str) -> dict[str, Any]:
    """Return the options of one of the groups above that were given, by name."""
    start = f"{group}."
    given = {k: v for k, v in vars(options).items() if v is not None}
    return {k.removeprefix(start): v for k, v in given.items() if k.startswith(start)}


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
    code = 0
    for share in processes.shares(folder, *processes.position()):
        run = Run.resume(share, device, compiled)
        _train_to_the_end(run)
        if share == folder:
            print(f"{folder}: seed {trained.load(folder).card['seed']} is kept")
            code = int(len(run.training.stopped) == len(run.settings.seeds))
    # Told to stop from here on, it has nothing left to lose and nothing to say.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code


def _train_to_the_end(run: Run) -> None:
    """Train and say how it goes: a line an evaluation, on a terminal in one place."""
    training, settings = run.training, run.settings
    alone = processes.position()[1] == 1
    who = "" if alone else f"seeds {settings.seeds[0]} to {settings.seeds[-1]}: "
    said, began, first = len(training.stopped), time.monotonic(), training.sequences
    in_place = alone and sys.stderr.isatty()
    for rows in run:
        solved = sum(n is not None for n in solved_after(run.curve).values())
        bits = sum(row.bits for row in rows) / max(len(rows), 1)
        excess = [row.excess for row in rows if row.excess is not None]
        above = sum(excess) / max(len(excess), 1)
        beside = f" ({above:.2f} above the optimum)" if excess else ""
        speed = (training.sequences - first) / (time.monotonic() - began)
        left = (settings.sequences - training.sequences) / speed
        print(
            f"{who}{training.sequences} sequences: {bits:.2f} bits{beside}, "
            f"{solved}/{len(settings.seeds)} solved, {left:.0f} s left",
            end="    \r" if in_place and not training.finished else "\n",
            file=sys.stderr,
            flush=True,
        )
        for stopped in training.stopped[said:]:
            _say(stopped)
        said = len(training.stopped)


def _open(name: str) -> tuple[Path, trained.Trained]:
    """Return a shipped model, or the one in a folder; where both are, the shipped."""
    folder = pretrained.folder(name)
    if not (folder / files.CARD).exists():
        raise FolderError(f"{folder}: holds no trained machine; resume its run first")
    return folder, trained.load(folder)


def _evaluate(options: argparse.Namespace) -> int:
    device = _prepare(options)
    if options.save and options.model in pretrained.available():
        raise FolderError(f"{options.model}: is shipped; its card stays as it is")
    folder, machine = _open(options.model)
    model, task = machine.model, machine.settings.make_task()
    results: list[Result] = []
    sizes = sizes_from(task, _given(options, "size"))
    trials = [Trial(size, options.memory_locations) for size in sizes]
    many = options.sequences
    compiled = options.compiled and worth_compiling(model, task, trials, many)
    fast = stacked_models(model.to(device)) if compiled else None
    columns = ["locations", "sequences", "wrong bits", "exact", "bits"]
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
            counts = (result.sequences, result.wrong_bits, result.exact)
            cells = [result.memory_locations or "–", *counts, f"{result.bits:.2f}"]
            if result.optimum is not None:
                columns = [*columns[:5], "optimum"]
                cells.append(f"{result.optimum:.2f}")
            if result is results[0]:
                print(*(f"{name:>10}" for name in (*task.size_names, *columns)))
            print(*(f"{n:>10}" for n in (*size, *cells)), flush=True)
    if options.json:
        rows = [result.to_json() for result in results]
        print(json.dumps({"model": options.model, "results": rows}))
    if options.save:
        trained.add_results(folder, machine, results)
    return 0


def _select(options: argparse.Namespace) -> int:
    run = Run.resume(options.folder, _prepare(options), options.compiled)
    if not run.training.finished:
        raise FolderError(f"{options.folder}: is not finished; resume it first")
    given = _given(options, "size")
    usual = [trial.size for trial in run.trials]
    sizes = sizes_from(run.training.task, given) if given else usual
    trials = [Trial(size, options.memory_locations) for size in sizes]
    chosen = run.select_seed(trials, options.sequences, options.give_up, options.seeds)
    for seed, results in chosen.items():
        tried = (
            f"{r.wrong_bits if r.excess is None else format(r.excess, '.2f')} at "
            f"{' × '.join(map(str, r.size.values()))}"
            for r in results
        )
        above = any(r.excess is not None for r in results)
        what = "bits above the optimum" if above else "wrong bits"
        print(f"seed {seed}: {what} {', '.join(tried)}")
    print(f"{run.folder}: seed {trained.load(run.folder).card['seed']} is kept")
    return 0


def _part(command: str, name: str) -> Any:
    """Return the module of a command that does not work everywhere."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise FolderError(f"{command}: needs {error.name}; install it first") from error


def _bench(options: argparse.Namespace) -> int:
    bench = _part("bench", "ntm.fast.bench")
    if options.threads is None:
        options.threads = 1
    bench.bench(_prepare(options), options.quick, options.json)
    return 0


def _show(options: argparse.Namespace) -> int:
    run_figures = _part("show", "ntm.book.run_figures")
    folder, (model, settings, _) = _open(options.model)
    # Pictures of a shipped model have no place in the installed package.
    is_shipped = options.model in pretrained.available()
    out = options.out or (Path() if is_shipped else folder)
    task, given = settings.make_task(), _given(options, "size")
    (size,) = sizes_from(task, given) if given else [task.test_size]
    for path in run_figures.draw(folder, model, settings, out, size):
        print(path)
    return 0


def _try(options: argparse.Namespace) -> int:
    _, (model, settings, _) = _open(options.model)
    task = settings.make_task()
    lines = transcript(model, task, task.from_words(options.bits))
    print(*lines, sep="\n")
    return 0
