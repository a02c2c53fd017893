"""Find the cells that a rounding error decides: ``shake.py --seed 0 book/far.ipynb …``.

Another processor, library or number of threads rounds differently, and that must not
show.  So each notebook is run again with every result of an eager operation rounded
otherwise, and a cell that then prints something else than is stored is named.  This is
done with one thread, with two, and without vector instructions.

What is moved is what was *rounded*, and no more:

- An operation in float32 is computed again in float64.  Where both agree, the result is
  exact, and so it is on every machine: a copy, a whole number, half of a quarter.
- Where they differ, the result becomes another number near the true one: within about a
  last place of it, or up to twice as far from it as the result was.  (A sum of numbers
  that nearly cancel is off by far more than its own last place.)
- Of float64 there is no wider format.  A result is taken for exact if it is one of the
  numbers that went in (a copy, a product with 1), or if it and all that went in would
  fit into float32; every other is moved by a last place or not at all.
- Random numbers are moved unless they are whole; constants and copies are not.

The same operation on the same numbers is moved alike each time, as any one machine
gives the same twice.  What the compiler has made does not pass through here.
"""

import argparse
import difflib
import functools
import os
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import numpy.typing as npt
import torch
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from torch.utils._python_dispatch import TorchDispatchMode

PICTURES = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
Array = npt.NDArray[Any]
BEGAN: list[int] = []
"""The seed, in a process where results are moved."""

LIMITS = {kind: np.finfo(kind) for kind in (np.float32, np.float64)}
FORMATS = (torch.float32, torch.float64)
PLAIN = (torch.Tensor, torch.nn.Parameter)  # others stand for numbers
COPIES = """
    _local_scalar_dense _to_copy amax amin arange argmax argmin bernoulli bernoulli_ cat
    clone copy_ empty empty_like empty_strided eq equal eye fill_ flip full full_like
    gather ge gt index index_put_ index_select le lift_fresh linspace logspace lt
    masked_fill max min ne new_empty new_full new_ones new_zeros ones ones_like randint
    randperm repeat roll scalar_tensor select_backward slice_backward sort stack topk
    where zero_ zeros zeros_like
"""
"""What gives nothing but whole numbers, constants or copies of what it was given."""


class Way(NamedTuple):
    """A way to run the notebooks."""

    name: str
    threads: int
    environment: dict[str, str]


WAYS = [
    Way("one thread", 1, {}),
    Way("two threads", 2, {}),
    Way("no vector instructions", 1, {"ATEN_CPU_CAPABILITY": "default"}),
]


class Shaken(TorchDispatchMode):
    """Round otherwise; see the top of this module."""

    def __init__(self, seed: int):
        super().__init__()
        # Each result takes a stretch of these, and where it begins its content decides.
        self.dice = np.random.default_rng(seed).uniform(-1, 1, 1 << 20)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and to say so at each call takes long

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function, and move those of its results that were rounded."""
        kwargs = kwargs or {}
        if passes(function) or torch._C._len_torch_dispatch_stack():
            return function(*args, **kwargs)  # that never rounds, or somebody traces
        writes = function._schema.is_mutable
        given = wide(args, kwargs) if writes else None  # it may write over them
        result = function(*args, **kwargs)
        made = floating(written(function, args, kwargs) if writes else (result,))
        if not made:
            return result
        if torch.Tag.nondeterministic_seeded in function.tags:
            for numbers in made:
                self.move(numbers, numbers, numbers != numbers.round())
        elif made[0].dtype == np.float64:
            inputs = floating(given[0] if given else args)
            for numbers in made:
                self.move(numbers, numbers, looks_rounded(numbers, inputs))
        else:
            given = given or wide(args, kwargs)
            again = function(*given[0], **given[1])
            true = floating(written(function, *given) if writes else (again,))
            for numbers, exact in zip(made, true, strict=True):
                self.move(numbers, exact, numbers != exact)
        return result

    def move(self, numbers: Array, true: Array, rounded: Array) -> None:
        """Put another number near the true one in the place of each rounded one."""
        if not rounded.any():
            return
        begin = zlib.crc32(numbers.tobytes()) % len(self.dice)
        dice = self.dice[begin : begin + numbers.size]
        if dice.size < numbers.size:
            dice = np.resize(np.roll(self.dice, -begin), numbers.size)
        limits = LIMITS[numbers.dtype.type]
        size = np.abs(true)
        # Next to 0 there are hardly any digits, and next to infinity is nothing.
        rounded &= (size > limits.tiny) & (size < limits.max)
        step = float(limits.eps) * (1 if true is numbers else 0.75)
        with np.errstate(invalid="ignore", over="ignore"):
            distance = size * step + 2 * np.abs(true - numbers)
            moved = true + dice.reshape(numbers.shape) * distance
            np.copyto(numbers, moved, where=rounded, casting="same_kind")


@functools.cache
def passes(function: Any) -> bool:
    """Return whether the function only copies, or looks at what is there."""
    return function.is_view or function.overloadpacket.__name__ in COPIES.split()


def floating(values: Iterable[Any]) -> list[Array]:
    """Return the numbers of those tensors among the values that a CPU computes with."""
    found = []
    for value in values:
        if type(value) in PLAIN:
            if value.dtype in FORMATS and value.device.type == "cpu":
                found.append(value.detach().numpy())
        elif isinstance(value, (list, tuple)):
            found += floating(value)
    return found


def wide(args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return copies of the arguments in float64, numbers as float32 has them."""

    def widened(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            kind = torch.float64 if value.is_floating_point() else value.dtype
            return value.detach().to(kind, copy=True)
        if isinstance(value, (list, tuple)):
            return [widened(each) for each in value]
        return float(np.float32(value)) if isinstance(value, float) else value

    return [widened(v) for v in args], {k: widened(v) for k, v in kwargs.items()}


def written(function: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments that the function writes into."""
    arguments = function._schema.arguments
    named = {a.name: value for a, value in zip(arguments, args, strict=False)} | kwargs
    return [
        named[a.name]
        for a in arguments
        if a.alias_info is not None and a.alias_info.is_write and a.name in named
    ]


def looks_rounded(numbers: Array, given: list[Array]) -> Array:
    """Return which float64 did not stand there before, nor have few digits like all."""
    rounded = numbers != numbers.round() if not given else np.ones(numbers.shape, bool)
    for each in given:
        if each.size == 1 or each.shape == numbers.shape:
            rounded &= numbers != each
    if all(is_short(each).all() for each in given):
        rounded &= ~is_short(numbers)
    return rounded


def is_short(numbers: Array) -> Array:
    """Return which numbers float32 would hold."""
    short: Array = numbers == numbers.astype(np.float32)
    return short


def begin(seed: int, threads: int) -> None:
    """Round otherwise from now on, in this process, with so many threads."""
    torch.set_num_threads(threads)
    torch.set_num_threads = lambda number: None  # whatever a notebook asks for
    Shaken(seed).__enter__()
    BEGAN.append(seed)


def run(path: Path, way: Way, seed: int) -> list[Any]:
    """Return the notebook's code cells, run in this way."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell('print(__import__("shake").BEGAN)'))
    lines = [f'__import__("sys").path.append({str(Path(__file__).parent)!r})']
    lines += [f'__import__("shake").begin({seed}, {way.threads})']
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[
            "--log-level=ERROR",
            *(f"--IPKernelApp.exec_lines={line}" for line in lines),
        ],
        coalesce_streams=True,
        record_timing=False,
        allow_errors=True,
        timeout=None,
        startup_timeout=600,
    )
    try:
        client.execute(env=os.environ | way.environment)
    except DeadKernelError:
        sys.exit(f"{path}, {way.name}: the kernel died; there may be too little memory")
    *cells, last = code_cells(notebook)
    # A kernel that could not begin would run the cells unmoved, and all would agree.
    if compared(last) != {"stdout": [f"[{seed}]\n"]}:
        sys.exit(f"{path}, {way.name}: nothing was moved, for shake.py did not begin")
    return cells


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that are numbered when they run."""
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def compared(cell: Any) -> dict[str, list[str]]:
    """Return of a cell's outputs what ``pytest --nbval`` compares, by its kind."""
    texts: dict[str, list[str]] = defaultdict(list)
    for output in cell.outputs:
        if output.output_type == "stream":
            texts[output.name].append(output.text)
        elif output.output_type == "error":
            texts["error"].append(f"{output.ename}: {output.evalue}\n")
        else:
            for kind in output.data.keys() - PICTURES:
                texts[kind].append(str(output.data[kind]))
    return texts


def difference(stored: Any, new: Any) -> str:
    """Return the lines in which the outputs of two cells differ, old before new."""
    before, after = compared(stored), compared(new)
    if before == after:
        return ""
    lines = []
    for kind in sorted(before.keys() | after.keys()):
        texts = ["".join(side[kind]).splitlines() for side in (before, after)]
        lines += list(difflib.unified_diff(*texts, n=0, lineterm=""))[2:]
    told = [f"    {line}" for line in lines if not line.startswith("@@")]
    return "\n".join(told) or "    the same lines, as other outputs"


def shake(path: Path, way: Way, seed: int) -> tuple[int, int]:
    """Run a notebook in one way, and say which cells differ: compared, changed."""
    stored = code_cells(nbformat.read(path, as_version=4))
    changed = 0
    start = time.monotonic()
    pairs = zip(stored, run(path, way, seed), strict=True)
    for number, (old, new) in enumerate(pairs, start=1):
        if found := difference(old, new):
            changed += 1
            first_line = old.source.strip().splitlines()[0]
            print(f"{path}, code cell {number} ({first_line}), {way.name}:\n{found}")
    seconds = time.monotonic() - start
    print(
        f"{path}, {way.name}: {changed} of {len(stored)} cells changed, {seconds:.0f} s"
    )
    return len(stored), changed


def main() -> None:
    """Shake the notebooks named on the command line; exit with 1 if a cell changed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of what is moved how")
    parser.add_argument("notebooks", nargs="+", type=Path)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for path in options.notebooks:
        if not path.is_file():
            sys.exit(f"{path}: no such notebook")
    counts = [shake(p, way, options.seed) for p in options.notebooks for way in WAYS]
    cells, changed = (sum(column) for column in zip(*counts, strict=True))
    print(f"seed {options.seed}: {cells} cells compared, {changed} changed")
    sys.exit(1 if changed else 0)


if __name__ == "__main__":
    main()
