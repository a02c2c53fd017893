"""A table that a tool writes for a chapter to read."""

import csv
import io
from pathlib import Path
from typing import Any

from ntm.runs import files

BOOK = Path(__file__).parents[1]


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows with the same columns into ``book/``, all of them or none.

    Args:
        name: where below ``book/``, such as ``ngrams/diary.csv``.
        rows: each by column; the first has the columns in their order.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path = BOOK / name
    path.parent.mkdir(exist_ok=True)
    files.write_bytes(path, text.getvalue().encode())
