"""A trained machine on disk: its weights, and a card that says what they are.

The name of the weights' file is made of their digest, and the card names the file: who
is stopped between the two leaves the machine that was there before.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.recurrent import Recurrent
from ntm.runs import files
from ntm.runs.files import CARD, FolderError
from ntm.training.evaluation import Result
from ntm.training.settings import MODELS, Settings

WEIGHTS = "model.safetensors"
"""The name of the weights where the card, of format 1, does not say it."""


class Trained(NamedTuple):
    """A machine ready to run, its settings and its card."""

    model: Recurrent[Any]
    settings: Settings
    card: dict[str, Any]


def load(folder: Path) -> Trained:
    """Return the machine that a folder holds.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    card, settings = read_card(folder)
    with torch.device("meta"):  # however large the card says it is
        model = settings.make_model(0)
    _fill(model, folder, card)
    return Trained(model, settings, card)


def load_model(folder: Path) -> Recurrent[Any]:
    """Return the machine in a folder that a run or `save_model` has written.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    path = folder / CARD
    card = files.read_json(path)
    if "settings" in card:
        return load(folder).model
    if "model" not in card:
        raise FolderError(f"{path}: model is missing{files.origin(card)}")
    kinds = (KeyError, TypeError, ValueError, RuntimeError)
    with files.refused(path, *kinds, how="model: ", by=card), torch.device("meta"):
        config = dict(card["model"])
        model = _kind(config.pop("kind"))(**config)
    _fill(model, folder, card)
    return model


def _kind(name: object) -> type[Recurrent[Any]]:
    kinds = {kind.__name__: kind for kind in MODELS.values()}
    if name not in kinds:
        raise TypeError(f"machine: got {name}, needs {' or '.join(kinds)}")
    return kinds[name]


def read_card(folder: Path) -> tuple[dict[str, Any], Settings]:
    """Return the card in a folder and the settings in it.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    card = files.read_json(folder / CARD)
    with files.refused(folder / CARD, KeyError, TypeError, ValueError, by=card):
        settings = Settings.from_json(card["settings"])
        require_whole(0, seed=card["seed"])
        if card["seed"] not in settings.seeds:
            raise ValueError(f"seed {card['seed']!r} is not one of the run's")
        _results(card)
    return card, settings


def _fill(model: Recurrent[Any], folder: Path, card: dict[str, Any]) -> None:
    """Give a model, however empty, the weights in a folder, of which its card tells."""
    with files.refused(folder / CARD, KeyError, TypeError, ValueError, by=card):
        name, digest = card.get("weights", WEIGHTS), card["weights_sha256"]
        if not re.fullmatch(r"model(-[0-9a-f]+)?\.safetensors", str(name)):
            raise ValueError(f"weights: got {name!r}, needs the name of a file here")
        require_whole(1, parameters=card["parameters"])
    path = folder / name
    weights = files.read_tensors(path)
    needed = {name: p.shape for name, p in model.named_parameters()}
    for name in sorted(set(needed) ^ set(weights)):
        how = "missing" if name in needed else "unknown"
        raise FolderError(f"{path}: does not fit {CARD}: {name} is {how}")
    for name, shape in needed.items():
        got = weights[name]
        if got.shape != shape or not got.is_floating_point():
            raise FolderError(
                f"{path}: does not fit {CARD}: {name} is {got.dtype} of shape "
                f"{tuple(got.shape)}, needs {tuple(shape)}"
            )
    if card["parameters"] != sum(shape.numel() for shape in needed.values()):
        count = card["parameters"]
        raise FolderError(f"{folder / CARD}: parameters: {count!r} is not their number")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise FolderError(f"{path}: was changed: its SHA-256 is not the card's")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise FolderError(f"{path}: {name} holds numbers that are not finite")
    own = {name: tensor.float() for name, tensor in weights.items()}
    model.load_state_dict(own, assign=True)
    model.eval().requires_grad_(False)


def save(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card, in the place of those that were there.

    The caller holds the lock of the folder.
    """
    data = files.as_bytes(weights)
    digest = hashlib.sha256(data).hexdigest()
    name = f"model-{digest[:12]}.safetensors"
    files.write_bytes(folder / name, data)
    count = sum(tensor.numel() for tensor in weights.values())
    fixed = {"parameters": count, "weights": name, "weights_sha256": digest}
    files.write_json(folder / CARD, card | files.stamp() | fixed)
    for old in folder.glob("model*.safetensors*"):
        if old.name != name:
            old.unlink(missing_ok=True)


def save_model(
    folder: Path, model: Recurrent[Any], card: dict[str, Any] | None = None
) -> None:
    """Write a machine that was trained in another way than by a run: see `ntm.save`."""
    kind = type(model).__name__
    if _kind(kind) is not type(model):
        raise TypeError(f"machine: got another {kind} than that of `ntm`")
    for name, tensor in model.named_parameters():
        if not tensor.isfinite().all():
            raise ValueError(f"machine: {name} holds numbers that are not finite")
    json.dumps(card, allow_nan=False)  # refuses what cannot be written
    if (folder / "settings.json").exists():
        raise FolderError(f"{folder}: holds a run; choose another folder")
    with files.refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder):
        save(
            folder,
            dict(model.named_parameters()),
            (card or {}) | {"model": {"kind": kind, **model.config}},
        )


def add_results(folder: Path, evaluated: Trained, results: Iterable[Result]) -> None:
    """Write results to the card, each in the place of an older one of the same kind.

    Raises:
        FolderError: another process is at it, or the folder keeps another machine by
            now than the one that was evaluated.
    """
    with files.locked(folder):
        card, _ = read_card(folder)
        if card["weights_sha256"] != evaluated.card["weights_sha256"]:
            raise FolderError(f"{folder}: keeps another machine by now; try that one")
        kept = {r.where: r for r in [*_results(card), *results]}
        rows = sorted(
            kept.values(), key=lambda r: (r.memory_locations or 0, *r.size.values())
        )
        files.write_json(
            folder / CARD, card | {"results": [row.to_json() for row in rows]}
        )


def _results(card: dict[str, Any]) -> list[Result]:
    rows = card["results"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("results: needs a list of objects")
    return [Result.from_json(row) for row in rows]
