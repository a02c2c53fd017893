"""Files of a run: read with care, written whole or not at all, by one process only.

JSON and tensors, and the lock of a folder; `ntm.runs.tables` has the tables.  Nothing
here is ever unpickled, and whatever is damaged is refused in one line.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

import ntm

FORMAT = 2
"""Of all files of a run.  What is new gets a number, so that an older version can say
that it does not know it; what an older file lacks gets what was so before."""
CARD, CURVE, TRIALS = "card.json", "curve.csv", "trials.csv"
PREVIOUS_STAGE, PREVIOUS_STAGE_CURVE = "first.json", "first.csv"
"""Card and curve of the run from which this one went on with other settings."""
LOCK = ".lock"
"""Is locked by the process that writes to the folder; what it holds does not matter."""


DAMAGED = "is damaged: "


class FolderError(Exception):
    """A folder or a file that cannot be used, and why, in one line."""


@contextlib.contextmanager
def refused(
    path: Path, *kinds: type[Exception], how: str = "", by: dict[str, Any] | None = None
) -> Iterator[None]:
    """Say in one line, as a `FolderError`, what goes wrong with a file or a folder.

    Args:
        path: which.
        kinds: of errors, besides those of the system.
        how: what they mean, such as ``"is damaged: "``.
        by: what the file says of itself, that the message says who wrote it.
    """
    try:
        yield
    except OSError as error:
        raise FolderError(f"{path}: {how}{error.strerror}") from error
    except kinds as error:
        line = first_line(error)
        raise FolderError(f"{path}: {how}{line}{origin(by or {})}") from error


@contextlib.contextmanager
def locked(folder: Path, wait: float = 0) -> Iterator[None]:
    """Keep other processes from writing to a folder; a killed one keeps nobody out.

    Who holds it does not enter again.

    Args:
        folder: the folder.
        wait: seconds to wait for a process that is at it.

    Raises:
        FolderError: another process is at it, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    with refused(folder):
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise FolderError(f"{folder}: another process is writing to it") from error
    try:
        yield
    finally:
        lock.release()


def stamp() -> dict[str, Any]:
    """Return what a file says of its own form: the number, and who wrote it."""
    return {"format": FORMAT, "ntm": ntm.__version__}


def origin(values: dict[str, Any]) -> str:
    """Return which other version wrote a file that cannot be read; for messages."""
    versions = values.get("versions")
    older = versions.get("ntm") if isinstance(versions, dict) else None
    by = values.get("ntm", older)
    other = by not in (None, ntm.__version__)
    return f" (written by ntm {by!s:.20}; this is {ntm.__version__})" if other else ""


def first_line(error: Exception) -> str:
    """Return what an error says, in one line; of a key that it is missing."""
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file.

    Raises:
        FolderError: the file is missing, holds something else, or is of a format that
            came after this version.
    """
    return _checked(path, _parsed(path, read_bytes(path)))


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object, whole or not at all."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file.

    Raises:
        FolderError: the file is missing or damaged.
    """
    return _tensors(path, read_bytes(path))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors in a file and the note that was written with them.

    Raises:
        FolderError: the file is missing, damaged, or of a later format.
    """
    data = read_bytes(path)
    tensors = _tensors(path, data)
    size = 8 + int.from_bytes(data[:8], "little")  # how safetensors begins
    header = _parsed(path, data[8:size])
    note = _parsed(path, header.get("__metadata__", {}).get("note", "").encode())
    digest = note.pop("sha256", None)  # older files have none
    if digest not in (None, _digest(tensors, note)):
        raise FolderError(f"{path}: was changed: its SHA-256 is not its own")
    return tensors, _checked(path, note)


def write_checkpoint(
    path: Path, tensors: dict[str, Tensor], note: dict[str, Any]
) -> None:
    """Write tensors and a note about them, whole or not at all."""
    note = stamp() | note
    note = json.loads(json.dumps(note))  # as it will be read
    signed = note | {"sha256": _digest(tensors, note)}
    write_bytes(path, as_bytes(tensors, {"note": json.dumps(signed)}))


def as_bytes(
    tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> bytes:
    """Return what a file of tensors holds; nothing in it is pickled."""
    from safetensors.torch import save

    return save({n: t.detach().cpu().clone() for n, t in tensors.items()}, metadata)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def read_bytes(path: Path) -> bytes:
    """Return what is in a file."""
    with refused(path):
        return path.read_bytes()


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    with refused(path, ValueError, RecursionError, how="is not JSON: "):
        values = json.loads(data.decode())
    if not isinstance(values, dict):
        raise FolderError(f"{path}: holds no object")
    return values


def _checked(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    number = values.get("format", 1)
    if type(number) is not int or number < 1:
        raise FolderError(f"{path}: format: got {number!r}, needs a number from 1 on")
    if number > FORMAT:
        raise FolderError(
            f"{path}: is of format {number}, later than the {FORMAT} that this version "
            f"reads{origin(values)}"
        )
    return values


def _tensors(path: Path, data: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    with refused(path, SafetensorError, ValueError, KeyError, how=DAMAGED):
        return load(data)


def _digest(tensors: dict[str, Tensor], note: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(note).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a place to write to, and put it in the place of ``path`` when all is there.

    Until then, and if anything fails, the old file stays as it was.

    Raises:
        FolderError: it could not be written.
    """
    temporary = path.with_name(f"{path.name}.part")
    with refused(path, how="could not be written: "):
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _sync(folder: Path) -> None:
    """Let a new name in a folder last through a power cut, where a system can."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folder
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
