"""The machine again, from an empty file: ``python -m ntm.book.rebuild``.

It looks at ``rebuild/machine.py``, which it makes if it is not there and never changes,
and stops at the first part that is missing or wrong.  `ntm.minimal` passes all of them.

Chapter: *Rebuild it*.
"""

import operator
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from ntm.book.rebuild import mechanics, whole
from ntm.book.rebuild.checks import Part, WrongError

PARTS = (
    mechanics.reading,
    mechanics.writing,
    mechanics.finding,
    mechanics.gate,
    mechanics.shift,
    mechanics.sharpening,
    mechanics.head,
    whole.layers,
    whole.first_state,
    whole.step,
    whole.sequence,
    whole.gradients,
    whole.task,
    whole.copying,
)
FILE = Path("rebuild/machine.py")
BEGIN = '''"""My Neural Turing Machine.

A memory is (batch, N, W). All that a head has to do with is a row: a weighting is
(batch, 1, N), a vector (batch, 1, W).
"""

import torch
from torch import Tensor, nn
'''
TESTS = '''"""The parts as tests: python -m pytest -x rebuild"""

from pathlib import Path

import pytest

from ntm.book.rebuild import PARTS, load, look


@pytest.mark.parametrize("part", PARTS, ids=[part.title for part in PARTS])
def test_part(part):
    wrong = look(part, load(Path(__file__).with_name("machine.py")))
    if wrong:
        pytest.fail(wrong, pytrace=False)
'''


def load(file: Path) -> ModuleType:
    """Return the file as a module."""
    machine = ModuleType("machine")
    machine.__file__ = str(file)
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), machine.__dict__)
    return machine


def look(part: Part, machine: ModuleType) -> str | None:
    """Return what a part asks for and what is wrong; or None, if nothing is."""
    try:
        operator.attrgetter(part.name)(machine)
    except AttributeError:
        return f"{part.asks}\n\n{part.told_in}"
    torch.manual_seed(0)
    try:
        part.check(machine)
    except Exception as error:  # a person is at work here: say what went wrong
        return f"{part.asks}\n\n{_says(error, machine.__file__)}\n\n{part.told_in}"
    return None


def _says(error: Exception, file: object) -> str:
    """Return what is wrong, and the line of the file that an error came from."""
    what = "" if isinstance(error, WrongError) else f"{type(error).__name__}: "
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f"{what}{error}" + (f" (line {lines[-1]})" if lines else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at part after part of the file; return 0 if all are right.

    Args:
        arguments: the name of another file than ``rebuild/machine.py``, or nothing.
    """
    given = sys.argv[1:] if arguments is None else arguments
    file = Path(*given) if given else FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(BEGIN, encoding="utf-8")
        print(f"{file} is new. Write into it what comes next, and run this again.\n")
    tests = file.with_name("test_machine.py")
    if file == FILE and not tests.exists():
        tests.write_text(TESTS, encoding="utf-8")
    try:
        machine = load(file)
    except Exception as error:
        print(f"{file} does not run: {_says(error, file)}")
        return 1
    for number, part in enumerate(PARTS, start=1):
        wrong = look(part, machine)
        print(f"{number:2}  {part.title:20} {'not yet' if wrong else 'right'}")
        if wrong:
            print()
            for line in wrong.splitlines():
                print(textwrap.fill(line, 80, break_on_hyphens=False))
            return 1
    print("\nYou have built a Neural Turing Machine.")
    return 0
