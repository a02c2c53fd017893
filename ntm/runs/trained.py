"""A trained machine on disk: its weights, and a card that says what they are."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ntm.baseline import Baseline
from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.runs.files import (
    CARD,
    WEIGHTS,
    FolderError,
    locked,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from ntm.training.settings import Settings

FORMAT = 1
KINDS: dict[str, type[Recurrent[Any]]] = {"NTM": NTM, "Baseline": Baseline}


class Trained(NamedTuple):
    """A machine ready to run, its settings and its card."""

    model: Recurrent[Any]
    settings: Settings
    card: dict[str, Any]


def load(folder: Path) -> Trained:
    """Return the machine that a run has left in its folder.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    card = read_json(folder / CARD)
    try:
        settings = Settings.from_json(card["settings"])
        seed, model = card["seed"], settings.make_model(0)
    except KeyError as error:
        raise FolderError(f"{folder / CARD}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise FolderError(f"{folder / CARD}: {error}") from error
    if seed not in settings.seeds:
        raise FolderError(f"{folder / CARD}: seed {seed!r} is not one of the run's")
    _fill(model, folder, card)
    return Trained(model, settings, card)


def load_model(folder: Path) -> Recurrent[Any]:
    """Return the machine in a folder that a run or `save_model` has written.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    card = read_json(folder / CARD)
    if "settings" in card:
        return load(folder).model
    try:
        config = dict(card["model"])
        kind = config.pop("kind")
        if kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}, needs {' or '.join(KINDS)}")
        model = KINDS[kind](**config)
    except KeyError as error:
        raise FolderError(f"{folder / CARD}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise FolderError(f"{folder / CARD}: model: {error}") from error
    _fill(model, folder, card)
    return model


def _fill(model: Recurrent[Any], folder: Path, card: dict[str, Any]) -> None:
    """Give a model the weights in a folder, ready to run and not to be trained."""
    try:
        if card["format"] != FORMAT:
            raise ValueError(f"format: got {card['format']!r}, needs {FORMAT}")
        digest, count = card["weights_sha256"], card["parameters"]
    except KeyError as error:
        raise FolderError(f"{folder / CARD}: {error.args[0]} is missing") from error
    except ValueError as error:
        raise FolderError(f"{folder / CARD}: {error}") from error
    weights, path = read_tensors(folder / WEIGHTS), folder / WEIGHTS
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
    if count != sum(shape.numel() for shape in needed.values()):
        raise FolderError(f"{folder / CARD}: parameters: {count!r} is not their number")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise FolderError(f"{path}: was changed: its SHA-256 is not the card's")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise FolderError(f"{path}: {name} holds numbers that are not finite")
    model.load_state_dict(weights)
    model.eval().requires_grad_(False)


def save(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card; the card comes last and names the weights' digest."""
    write_tensors(folder / WEIGHTS, weights)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    count = sum(tensor.numel() for tensor in weights.values())
    fixed = {"format": FORMAT, "parameters": count, "weights_sha256": digest}
    write_json(folder / CARD, card | fixed)


def save_model(
    folder: Path, model: Recurrent[Any], card: dict[str, Any] | None = None
) -> None:
    """Write a machine that was trained in another way than by a run.

    Args:
        folder: is made if it is not there; a machine in it is replaced.
        model: an `NTM` or a `Baseline`.
        card: whatever else there is to say of it, as JSON can hold it.

    Raises:
        TypeError, ValueError: the model or the card is nothing that can be saved.
        FolderError: the folder holds a run, or cannot be written.
    """
    kind = type(model).__name__
    if KINDS.get(kind) is not type(model):
        raise TypeError(f"machine: got {kind}, needs {' or '.join(KINDS)}")
    for name, tensor in model.named_parameters():
        if not tensor.isfinite().all():
            raise ValueError(f"machine: {name} holds numbers that are not finite")
    json.dumps(card, allow_nan=False)  # refuses what cannot be written
    if (folder / "settings.json").exists():
        raise FolderError(f"{folder}: holds a run; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror}") from error
    with locked(folder):
        save(
            folder,
            dict(model.named_parameters()),
            (card or {}) | {"model": {"kind": kind, **model.config}},
        )
