"""Files of a run: read with care, written whole or not at all, by one process only.

JSON, tensors and tables, and the lock of a folder.  Nothing here is ever unpickled, and
whatever is damaged is refused in one line.
"""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from ntm.training.evaluation import Result
from ntm.training.trainer import Evaluation

WEIGHTS, CARD, CURVE = "model.safetensors", "card.json", "curve.csv"
TRIALS = "trials.csv"
PREVIOUS_STAGE, PREVIOUS_STAGE_CURVE = "first.json", "first.csv"
"""Card and curve of the run from which this one went on with other settings."""
LOCK = ".lock"
"""Is locked by the process that writes to the folder; what it holds does not matter."""


class FolderError(Exception):
    """A folder or a file that cannot be used, and why, in one line."""


@contextlib.contextmanager
def locked(folder: Path, wait: float = 0) -> Iterator[None]:
    """Keep other processes from writing to a folder; a killed one keeps nobody out.

    Args:
        folder: the folder.
        wait: seconds to wait for a process that is at it.

    Raises:
        FolderError: another process is at it, or the folder cannot be written.
    """
    try:
        lock = FileLock(folder / LOCK, is_singleton=True)
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise FolderError(f"{folder}: another process is writing to it") from error
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file.

    Raises:
        FolderError: the file is missing, or holds something else.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise FolderError(f"{path}: is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise FolderError(f"{path}: holds no object")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object, whole or not at all."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file.

    Raises:
        FolderError: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        return from_bytes(path.read_bytes())
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise FolderError(f"{path}: is damaged: {error}") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the object that `write_tensors` put beside the tensors.

    Raises:
        FolderError: there is none, or the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads((file.metadata() or {})["note"]))
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise FolderError(f"{path}: is damaged: {error}") from error


def write_tensors(
    path: Path, tensors: dict[str, Tensor], note: dict[str, Any] | None = None
) -> None:
    """Write tensors and a note about them, whole or not at all."""
    from safetensors.torch import save as to_bytes

    on_cpu = {name: t.detach().cpu().clone() for name, t in tensors.items()}
    data = to_bytes(on_cpu, {"note": json.dumps(note)} if note is not None else None)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a place to write to, and put it in the place of ``path`` when all is there.

    Until then, and if anything fails, the old file stays as it was.

    Raises:
        FolderError: it could not be written.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise FolderError(f"{path}: could not be written: {error.strerror}") from error


def read_curve(path: Path) -> list[Evaluation]:
    """Return the rows of a curve; a last line that was cut off does not count.

    Raises:
        FolderError: the file is missing or damaged.
    """
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.endswith("\n"):
            break
        try:
            seed, sequences, bits, wrong = line.split(",")
            row = Evaluation(int(seed), int(sequences), float(bits), float(wrong))
        except ValueError as error:
            raise FolderError(f"{path}: line {number} is damaged") from error
        rows.append(row)
    return rows


def append_curve(path: Path, rows: Iterable[Evaluation]) -> None:
    """Add rows at the end of a curve, and its first line if it is new.

    Raises:
        FolderError: it could not be written.
    """
    lines = [f"{r.seed},{r.sequences},{r.bits:.6g},{r.wrong_bits:.6g}\n" for r in rows]
    try:
        if not path.exists():
            lines.insert(0, ",".join(Evaluation._fields) + "\n")
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FolderError(f"{path}: could not be written: {error.strerror}") from error


def write_curve(path: Path, rows: Iterable[Evaluation]) -> None:
    """Write a whole curve, or leave the old one."""
    with atomic_write(path) as temporary:
        temporary.unlink(missing_ok=True)
        append_curve(temporary, rows)


def read_trials(path: Path) -> dict[int, list[Result]]:
    """Return what every seed was tried on; nothing if there is no such file.

    Raises:
        FolderError: the file is damaged.
    """
    if not path.exists():
        return {}
    trials: dict[int, list[Result]] = {}
    try:
        for row in csv.DictReader(path.read_text("utf-8").splitlines()):
            bits = row.pop("bits", None)
            numbers: dict[str, Any] = {k: int(v) if v else None for k, v in row.items()}
            numbers["bits"] = float(bits) if bits else None
            trials.setdefault(numbers.pop("seed"), []).append(Result.from_json(numbers))
    except (KeyError, TypeError, ValueError) as error:
        raise FolderError(f"{path}: is damaged: {error}") from error
    return trials


def write_trials(path: Path, trials: dict[int, list[Result]]) -> None:
    """Write what every seed was tried on, whole or not at all."""
    rows = [{"seed": s} | r.to_json() for s, results in trials.items() for r in results]
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.getvalue().encode())
