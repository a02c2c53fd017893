"""The folder of a run: what its files are called, how it begins, and when it may go.

``settings.json`` makes a folder a run; what is there before that, a start has left that
was killed.
"""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from ntm.runs import files
from ntm.runs.files import FolderError
from ntm.training.settings import Settings

SETTINGS, CHECKPOINT = "settings.json", "checkpoint.safetensors"
PARTS = "parts"
"""The folder of the runs of fewer seeds into which `ntm.runs.processes` divides one."""
_BEFORE_IT_BEGINS = {f"{SETTINGS}.part"} | {
    name + part
    for name in (CHECKPOINT, files.PREVIOUS_STAGE, files.PREVIOUS_STAGE_CURVE)
    for part in ("", ".part")
}


def make(folder: Path) -> None:
    """Make the folder of a run; it may be there, and hold what a killed start left.

    Raises:
        FolderError: it holds something else, or cannot be made.
    """
    with files.refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
    if names - _BEFORE_IT_BEGINS - {files.LOCK}:
        what = "another run" if SETTINGS in names else "other files"
        raise FolderError(
            f"{folder}: holds {what}; resume that run or choose another folder"
        )


def remove_killed_start(folder: Path) -> None:
    """Remove what a start has left that was killed before it had made a run."""
    for name in _BEFORE_IT_BEGINS:
        (folder / name).unlink(missing_ok=True)


def remove_unlearned(folder: Path) -> None:
    """Remove the folder of a run that has no checkpoint yet, and nothing of others."""
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    if names <= {SETTINGS, files.CURVE, files.LOCK}:
        shutil.rmtree(folder, ignore_errors=True)


def read_settings(folder: Path) -> Settings:
    """Return the settings of a run.

    Raises:
        FolderError: they are missing, damaged or impossible.
    """
    path = folder / SETTINGS
    values = files.read_json(path)
    with files.refused(path, TypeError, ValueError, by=values):
        # Those of format 1 stand alone.
        return Settings.from_json(values.get("settings", values))


def write_settings(folder: Path, settings: Settings) -> None:
    """Write the settings of a run, which makes the folder one."""
    values = files.stamp() | {"settings": settings.to_json()}
    files.write_json(folder / SETTINGS, values)


def require_fit(path: Path, tensors: dict[str, Tensor], settings: Settings) -> None:
    """Refuse what does not fit before anything is as large as the settings say."""
    with torch.device("meta"):
        parameters = settings.make_model(0).parameters()
    needs = (len(settings.seeds), sum(p.numel() for p in parameters))
    got = tuple(tensors["parameters"].shape) if "parameters" in tensors else "nothing"
    if got != needs:
        raise FolderError(
            f"{path}: does not fit the run: parameters: got {got}, needs {needs}"
        )
