"""Damage at random to the files of a run, and what has to come of it."""

import json
import random
from pathlib import Path
from typing import Any

import torch

from ntm.runs import tables, trained
from ntm.runs.files import CARD, CURVE, TRIALS, FolderError
from ntm.runs.folder import CHECKPOINT, SETTINGS, read_settings
from ntm.runs.run import Run
from ntm.training.settings import Settings

WRONG: list[Any] = [
    *(-1, 0, 1, 3, 2.5, -0.0, 1e308, 10**9, 10**30, 2**31, 2**63, True, False, None),
    *("", "7", "lstm", "../../x", "\ud83d", [], [1], [[]], ["lstm"], {}, {"a": 1}),
    *(float("nan"), float("inf"), [0] * 7),
]


def damage(rng: random.Random, path: Path) -> str:
    """Change a file at random; return what was done."""
    data = path.read_bytes()
    kinds = ["bytes", "cut", "empty", "insert", "repeat"]
    kind = rng.choice(kinds + ["value"] * 6 if path.suffix == ".json" else kinds)
    where = rng.randrange(len(data))
    if kind == "bytes":
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 8])):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        new = bytes(changed)
    elif kind == "cut":
        new = data[:where]
    elif kind == "empty":
        new = rng.choice([b"", b"\0" * len(data), b"{}", b"[" * 100_000])
    elif kind == "insert":
        new = data[:where] + rng.randbytes(rng.choice([1, 7])) + data[where:]
    elif kind == "repeat":
        new = data[:where] + data[where // 2 :]
    else:
        return change_value(rng, path)
    path.write_bytes(new)
    return f"{path.name}: {kind} at {where}"


def change_value(rng: random.Random, path: Path) -> str:
    """Change, remove or add one value, at any depth."""
    values = json.loads(path.read_text("utf-8"))
    at, name = values, rng.choice(list(values))
    trail = [name]
    while isinstance(at[name], dict | list) and at[name] and rng.random() < 0.8:
        at = at[name]
        name = rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
        trail.append(name)
    wrong = rng.choice(WRONG)
    if rng.random() < 0.15:
        del at[name]
    elif rng.random() < 0.1 and isinstance(at, dict):
        at["unheard_of"] = wrong
    else:
        at[name] = wrong
    path.write_text(json.dumps(values), "utf-8")
    return f"{path.name}: {trail} is {wrong!r}"


def read_all(folder: Path) -> tuple[Any, ...]:
    """Return all that is on disk, read as the package reads it.

    Raises:
        FolderError: something is damaged.
    """
    machine = trained.load(folder)
    run = Run.resume(folder, compiled=False)
    return (
        machine,
        run,
        tables.read_curve(folder / CURVE),
        tables.read_trials(folder / TRIALS),
        read_settings(folder),
    )


def check(folder: Path, good: tuple[Any, ...]) -> str | None:
    """Return the one line with which a damaged folder is refused; None if it is read.

    Raises:
        AssertionError: it was read as something that it does not say.
    """
    try:
        machine, run, curve, trials, settings = read_all(folder)
    except FolderError as error:
        line = str(error)
    else:
        line = ""
    if line:
        assert "\n" not in line
        assert len(line) < 2000
        return line
    for ours, its in zip(
        machine.model.parameters(), good[0].model.parameters(), strict=True
    ):
        assert torch.equal(ours, its)
    states = (run.training.state_dict(), good[1].training.state_dict())
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    # What has no digest is read as the file says it.
    said = json.loads((folder / CARD).read_text("utf-8"))
    assert str(machine.card) == str(said)  # as text: NaN is not itself
    assert Settings.from_json(said["settings"]) == machine.settings
    said = json.loads((folder / SETTINGS).read_text("utf-8"))
    assert Settings.from_json(said.get("settings", said)) == settings == run.settings
    tables.write_trials(folder / "again.csv", trials)
    assert tables.read_trials(folder / "again.csv") == trials
    lines = (folder / CURVE).read_text("utf-8").split("\n")[1:-1]
    assert len(curve) == len(lines)
    assert (folder / CHECKPOINT).exists()
    return None
