"""A run so small that it trains in a second, and still does everything a real one does."""

from pathlib import Path
from typing import Any

from ntm.runs.files import read_tensors
from ntm.runs.folder import CHECKPOINT
from ntm.runs.run import Run
from ntm.training.settings import Settings


def settings(**changes: Any) -> Settings:
    values = {
        "memory_locations": 30,
        "memory_width": 4,
        "controller_size": 6,
        "seeds": (0, 1, 2),
        "sequences": 24,
        "batch_size": 2,
        "evaluate_every": 4,
        "evaluation_sequences": 3,
    }
    return Settings(**values | changes)


def short(**changes: Any) -> Settings:
    """The same with sequences of few steps: seeds are compared at lengths 3 and 4."""
    few: dict[str, Any] = {"memory_locations": 12}
    if "task" not in changes:
        few["task_options"] = {"longest": 3}
    return settings(**few | changes)


def finished(folder: Path, **changes: Any) -> Run:
    run = Run.start(folder, short(**changes), compiled=False)
    for _ in run:
        pass
    return run


def weights(folder: Path) -> Path:
    """Where the weights are; their name is made of what they hold."""
    (path,) = folder.glob("model*.safetensors")
    return path


def checkpoint(folder: Path) -> dict[str, bytes]:
    tensors = read_tensors(folder / CHECKPOINT)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
