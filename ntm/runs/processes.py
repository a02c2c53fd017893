"""Several processes for one run: each trains its share of the seeds by itself.

``torchrun`` starts them.  Seeds do not interact, so the processes have nothing to say
to each other: a run is divided into runs of fewer seeds, in its folder ``parts``, and
whoever finishes the last of these puts them together as one process would have left
them.  A part can be divided again, when more processes go on than began.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from ntm.runs import files, tables
from ntm.runs.folder import CHECKPOINT, PARTS, read_settings, write_settings

SHARED = {"updates", "conditions_rng", "optimizer.count"}
"""The tensors of a training that are the same for all seeds; others have a row each."""


def by_torchrun() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def position() -> tuple[int, int]:
    """Return which of how many processes this is; (0, 1) unless torchrun started it."""
    if not by_torchrun():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def place(device: torch.device) -> torch.device:
    """Return the card of this process; more processes than cards take turns."""
    several = position()[1] > 1 and device.type == "cuda" and device.index is None
    if not several or not torch.cuda.device_count():
        return device
    return torch.device(
        "cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()
    )


def shares(folder: Path, rank: int = 0, size: int = 1) -> Iterator[Path]:
    """Give the folders of the runs that this process has to train, one by one.

    Each has to be trained to its end before the next is asked for.  The last is the
    whole run, in the process that is the last of all to come to it.

    Args:
        folder: a run that was started, with or without parts.
        rank: which of the processes this is.
        size: how many there are; those that are more than the seeds get nothing.

    Raises:
        FolderError: what is missing or damaged, or cannot be written.
    """
    size = min(size, len(read_settings(folder).seeds))
    if rank >= size:
        return
    divided = folder / PARTS
    if size > 1 and not (folder / files.CARD).exists():
        with files.locked(folder, wait=60):
            if not divided.exists() and not (folder / files.CARD).exists():
                _divide(folder, size)
    if not divided.exists():
        if rank == 0:
            yield folder
        return
    parts = _parts(folder)
    for k, part in enumerate(parts):
        mine = [r for r in range(size) if r % len(parts) == k % size]
        if rank in mine:
            yield from shares(part, mine.index(rank), len(mine))
    if not all((part / files.CARD).exists() for part in parts):
        return  # somebody else will be the last
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.locked(folder))
        except files.FolderError:
            return  # somebody else is
        is_last = divided.exists()
        if is_last:
            _unite(folder)
    if is_last:
        yield folder


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / PARTS).glob("*"), key=lambda part: int(part.name))


def _divide(folder: Path, size: int) -> None:
    """Make runs of neighbouring seeds, as many each, from what a run has reached."""
    settings = read_settings(folder)
    new = folder / f"{PARTS}.part"
    shutil.rmtree(new, ignore_errors=True)
    begins = [len(settings.seeds) * k // size for k in range(size + 1)]
    for k in range(size):
        rows, part = slice(begins[k], begins[k + 1]), new / str(k)
        part.mkdir(parents=True)
        seeds = settings.seeds[rows]
        mine = dataclasses.replace(settings, seeds=seeds)
        write_settings(part, mine)
        if (folder / CHECKPOINT).exists():
            tensors, note = files.read_checkpoint(folder / CHECKPOINT)
            note["stopped"] = [row for row in note["stopped"] if row[0] in seeds]
            own = {n: t if n in SHARED else t[rows] for n, t in tensors.items()}
            files.write_checkpoint(part / CHECKPOINT, own, note)
        if (folder / files.CURVE).exists():
            curve = tables.read_curve(folder / files.CURVE)
            tables.write_curve(
                part / files.CURVE, (row for row in curve if row.seed in seeds)
            )
    new.rename(folder / PARTS)


def _unite(folder: Path) -> None:
    """Put finished parts together; the run is then finished, but for its card."""
    parts = _parts(folder)
    trials = [tables.read_trials(part / files.TRIALS) for part in parts]
    merged = {seed: rows for each in trials for seed, rows in each.items()}
    tables.write_trials(folder / files.TRIALS, merged)
    curves = [row for p in parts for row in tables.read_curve(p / files.CURVE)]
    curves.sort(key=lambda row: row.sequences)
    tables.write_curve(folder / files.CURVE, curves)
    checkpoints = [files.read_checkpoint(part / CHECKPOINT) for part in parts]
    states, notes = zip(*checkpoints, strict=True)
    # A part whose seeds have all stopped ends before the others.
    last = max(states, key=lambda state: int(state["updates"]))
    tensors = {
        name: last[name] if name in SHARED else torch.cat([s[name] for s in states])
        for name in last
    }
    stopped = sorted((r for n in notes for r in n["stopped"]), key=lambda row: row[1])
    note = {"seconds": max(n["seconds"] for n in notes), "stopped": stopped}
    files.write_checkpoint(folder / CHECKPOINT, tensors, note)
    done = (folder / PARTS).rename(folder / f"{PARTS}.part")
    shutil.rmtree(done, ignore_errors=True)
