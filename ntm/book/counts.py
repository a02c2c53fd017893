"""How the chapters tell of counts: shares with their intervals, runs with all seeds."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ntm import pretrained
from ntm.recurrent import Recurrent
from ntm.runs import files
from ntm.tasks import Batch, Copy
from ntm.training.evaluation import TOGETHER, Result, fresh
from ntm.training.settings import Settings
from ntm.training.trainer import Evaluation

SEEDS = "seeds.safetensors"
"""The weights of all seeds of a run, beside its card."""

VECTORS = 20_000
"""Vectors that a seed is asked for at each size, in as many sequences as that takes."""

PUBLISHED = 1
"""The seed of the sequences of what is published; development has 0."""


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's formula.

    It holds the shares of which a count like this is no surprise, and unlike simpler
    ones it is of use when none or all are counted.

    Args:
        count: how many.
        of: of how many, at least one.
    """
    z2 = 1.959964**2
    middle = (count + z2 / 2) / (of + z2)
    half = math.sqrt(z2 * count * (of - count) / of + z2**2 / 4) / (of + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(count: int, of: int) -> str:
    """Return a count with its interval as text, such as ``27 of 32 (68–93 %)``."""
    low, high = (round(100 * end) for end in wilson(count, of))
    return f"{count:,} of {of:,} ({low}–{high} %)"


class Reported(NamedTuple):
    """The seeds of a run that are reported: how they learned, and what was counted."""

    seconds: float
    parameters: int
    curve: list[Evaluation]
    trials: dict[int, list[Result]]

    @property
    def rows(self) -> dict[tuple[int | None, ...], list[Result]]:
        """What was counted at each size, smallest first, seed by seed."""
        rows: dict[tuple[int | None, ...], list[Result]] = {}
        for results in self.trials.values():
            for result in results:
                rows.setdefault(result.where, []).append(result)
        return dict(sorted(rows.items()))


def reported(folder: Path) -> Reported | None:
    """Return the reported seeds in a folder, or None where none were counted yet.

    Raises:
        ntm.runs.files.FolderError: its files are damaged.
    """
    if not (folder / files.TRIALS).exists():
        return None
    card, curve = pretrained.stages(folder)[-1]
    return Reported(
        card["seconds"], card["parameters"], curve, pretrained.trials(folder)
    )


def machines(folder: Path) -> dict[int, Recurrent[Any]]:
    """Return the trained machine of every reported seed.

    Raises:
        ntm.runs.files.FolderError: its files are missing or damaged.
    """
    settings = Settings.from_json(files.read_json(folder / files.CARD)["settings"])
    parts = files.read_tensors(folder / SEEDS)
    found = {}
    for row, seed in enumerate(settings.seeds):
        model = settings.make_model(0).requires_grad_(False)
        model.load_state_dict({name: part[row] for name, part in parts.items()})
        found[seed] = model
    return found


def counted(task: Copy, length: int, locations: int, count: int) -> Batch:
    """Return the first of the sequences on which the reported seeds were counted.

    Args:
        task: copying.
        length: of the sequences.
        locations: of the memories with which they were counted.
        count: how many of them, as a batch.
    """
    most = -(-VECTORS // length)
    batches: list[Batch] = []
    for batch in fresh(task, (length,), most, PUBLISHED, TOGETHER * locations):
        batches.append(batch)
        if sum(b.inputs.shape[1] for b in batches) >= count:
            break
    parts = zip(*batches, strict=True)
    return Batch(*(torch.cat(part, dim=1)[:, :count] for part in parts))
