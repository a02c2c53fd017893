"""A trained machine on disk: its weights, and a card that says what they are."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ntm.runs.files import (
    CARD,
    WEIGHTS,
    FolderError,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from ntm.training.settings import Settings

FORMAT = 1


class Trained(NamedTuple):
    """A machine ready to run, its settings and its card."""

    model: nn.Module
    settings: Settings
    card: dict[str, Any]


def load(folder: Path) -> Trained:
    """Return the machine that a folder holds.

    Raises:
        FolderError: what is missing, damaged or does not fit.
    """
    card = read_json(folder / CARD)
    try:
        if card["format"] != FORMAT:
            raise ValueError(f"format: got {card['format']!r}, needs {FORMAT}")
        settings = Settings.from_json(card["settings"])
        seed, digest, count = card["seed"], card["weights_sha256"], card["parameters"]
        model = settings.make_model(0)
    except KeyError as error:
        raise FolderError(f"{folder / CARD}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise FolderError(f"{folder / CARD}: {error}") from error
    if seed not in settings.seeds:
        raise FolderError(f"{folder / CARD}: seed {seed!r} is not one of the run's")
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
    return Trained(model.eval().requires_grad_(False), settings, card)


def save(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card; the card comes last and names the weights' digest."""
    write_tensors(folder / WEIGHTS, weights)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    count = sum(tensor.numel() for tensor in weights.values())
    fixed = {"format": FORMAT, "parameters": count, "weights_sha256": digest}
    write_json(folder / CARD, card | fixed)
