"""Tables of a run: ``curve.csv``, which grows by evaluations, and ``trials.csv``."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ntm.runs import files
from ntm.training.evaluation import COSTS, Result
from ntm.training.trainer import Evaluation

OLDER_COLUMNS = ["seed", "sequences", "bits", "wrong_bits"]


def read_curve(path: Path) -> list[Evaluation]:
    """Return the rows of a curve; a last line that was cut off does not count.

    Older ones have no column for the optimum.

    Raises:
        FolderError: the file is missing or damaged.
    """
    header, *lines = _lines(path)
    columns = header.split(",")
    if columns != OLDER_COLUMNS:
        _require_columns(path, columns, Evaluation._fields)
    rows = []
    for number, line in enumerate(lines[:-1], start=2):
        try:
            seed, sequences, bits, wrong, *rest = line.split(",")
            if len(rest) != len(columns) - len(OLDER_COLUMNS):
                raise ValueError(line)
            optimum = float(rest[0]) if any(rest) else None
            counts = int(seed), int(sequences), float(bits), float(wrong)
            row = Evaluation(*counts, optimum)
        except ValueError as error:
            raise files.FolderError(f"{path}: line {number} is damaged") from error
        rows.append(row)
    return rows


def _lines(path: Path) -> list[str]:
    with files.refused(path, UnicodeDecodeError, how=files.DAMAGED):
        text = files.read_bytes(path).decode()
    return text.split("\n")  # and at no other of Unicode's ends


def _require_columns(path: Path, got: list[str], needed: Iterable[str]) -> None:
    if set(got) != set(needed):
        needs = ",".join(needed)
        got_ = ",".join(got)
        raise files.FolderError(f"{path}: columns: got {got_:.80}, needs {needs}")


def append_curve(path: Path, rows: Iterable[Evaluation]) -> None:
    """Add rows at the end of a curve, and its first line if it is new.

    Raises:
        FolderError: it could not be written.
    """
    lines = [
        f"{r.seed},{r.sequences},{r.bits:.6g},{r.wrong_bits:.6g},"
        f"{'' if r.optimum is None else format(r.optimum, '.6g')}\n"
        for r in rows
    ]
    with files.refused(path, how="could not be written: "):
        if not path.exists():
            lines.insert(0, ",".join(Evaluation._fields) + "\n")
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())


def write_curve(path: Path, rows: Iterable[Evaluation]) -> None:
    """Write a whole curve, or leave the old one."""
    with files.atomic_write(path) as temporary:
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
    with files.refused(path, KeyError, TypeError, ValueError, how=files.DAMAGED):
        for row in csv.DictReader(_lines(path)):
            numbers: dict[str, Any] = {
                k: (float(v) if k in COSTS else int(v)) if v else None
                for k, v in row.items()
            }
            trials.setdefault(numbers.pop("seed"), []).append(Result.from_json(numbers))
    return trials


def write_trials(path: Path, trials: dict[int, list[Result]]) -> None:
    """Write what every seed was tried on, whole or not at all."""
    rows = [{"seed": s} | r.to_json() for s, results in trials.items() for r in results]
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_bytes(path, text.getvalue().encode())
