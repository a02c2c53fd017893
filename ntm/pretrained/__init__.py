"""Machines that were trained and are shipped with the package, each with its card.

`ntm.load` loads them; here is how they came about.  The curves, and what all seeds of
a run were tried on, lie beside the book: `stages` and `trials` take their folders.
"""

from pathlib import Path
from typing import Any, NamedTuple

from ntm.runs import files, tables
from ntm.training.evaluation import Result
from ntm.training.trainer import Evaluation

_HERE = Path(__file__).parent


def available() -> dict[str, dict[str, Any]]:
    """Return the cards of all shipped machines by name.

    A card says on what, how long and with which settings a machine was trained, how it
    was chosen among its seeds, and how it did at each length.
    """
    cards = sorted(_HERE.glob(f"*/{files.CARD}"))
    return {path.parent.name: files.read_json(path) for path in cards}


def folder(name: str | Path) -> Path:
    """Return where the files of a machine are.

    Args:
        name: of a shipped machine, or a folder; ``"./copy-lstm"`` is a folder in any
            case.

    Raises:
        ValueError: it is neither; says which are shipped.
    """
    names = available()
    if name in names:
        return _HERE / name
    if not Path(name).is_dir():
        known = ", ".join(names)
        raise ValueError(f"name: got {str(name)!r}, needs a folder or one of {known}")
    return Path(name)


class Stage(NamedTuple):
    """A run that a machine has gone through, with all seeds."""

    card: dict[str, Any]
    curve: list[Evaluation]


def stages(name: str | Path) -> list[Stage]:
    """Return the run that a machine comes from, and before it the one it began with.

    Args:
        name: of a folder with the card and the curve of a run, such as the book's
            ``machines/copy-feedforward``.

    Raises:
        ValueError: there is no such folder.
        ntm.runs.files.FolderError: its files are missing or damaged.
    """
    here = folder(name)
    card = files.read_json(here / files.CARD)
    last = Stage(card, tables.read_curve(here / files.CURVE))
    if "first" not in card:
        return [last]
    first = tables.read_curve(here / files.PREVIOUS_STAGE_CURVE)
    return [Stage(card["first"], first), last]


def trials(name: str | Path) -> dict[int, list[Result]]:
    """Return what each seed of a machine's last run was tried on.

    Args:
        name: of a folder with the trials of a run; of another, such as one with a
            shipped machine, there are none.

    Raises:
        ValueError: there is no such folder.
        ntm.runs.files.FolderError: its files are damaged.
    """
    return tables.read_trials(folder(name) / files.TRIALS)
