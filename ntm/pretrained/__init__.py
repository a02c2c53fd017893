"""Machines that were trained and are shipped with the package, each with its card."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ntm.runs import files, trained
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


def folder(name: str) -> Path:
    """Return where the files of a shipped machine are.

    Raises:
        ValueError: there is none of this name; says which there are.
    """
    names = available()
    if name not in names:
        raise ValueError(f"name: got {name!r}, needs one of {', '.join(names)}")
    return _HERE / name


def load(name: str) -> nn.Module:
    """Return a shipped machine, ready to run, on the CPU.

    Raises:
        ValueError: there is none of this name; says which there are.
        ntm.runs.files.FolderError: its files are damaged.

    Chapter: *Copying*.
    """
    return trained.load(folder(name)).model


class Stage(NamedTuple):
    """A run that a shipped machine has gone through, with all seeds."""

    card: dict[str, Any]
    curve: list[Evaluation]


def stages(name: str) -> list[Stage]:
    """Return the runs in which a shipped machine was trained, the first one first.

    Raises:
        ValueError: there is none of this name; says which there are.
        ntm.runs.files.FolderError: its files are damaged.
    """
    here = folder(name)
    card = files.read_json(here / files.CARD)
    last = Stage(card, files.read_curve(here / files.CURVE))
    if "first" not in card:
        return [last]
    first = files.read_curve(here / files.PREVIOUS_STAGE_CURVE)
    return [Stage(card["first"], first), last]


def trials(name: str) -> dict[int, list[Result]]:
    """Return what each seed of a shipped machine's last run was tried on.

    Raises:
        ValueError: there is none of this name; says which there are.
        ntm.runs.files.FolderError: its files are damaged.
    """
    return files.read_trials(folder(name) / files.TRIALS)
