"""Train the machine of ``ntm/minimal.py`` with these seeds: ``train_minimal.py 0 1 2``.

Writes the losses that it prints, and the wrong bits at the end, where the chapter *The
whole machine in one file* reads them. The file is run as it is, but for its seed.
"""

import contextlib
import csv
import io
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = (ROOT / "ntm" / "minimal.py").read_text(encoding="utf-8")
TABLE = ROOT / "book" / "minimal" / "seeds.csv"
LINE = re.compile(r" *(\d+) updates: loss ([\d.]+)")


def rows(seed: int) -> list[tuple[int, int, str, str]]:
    """Return seed, updates, loss and, in the last row, wrong bits of 160."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        program = PROGRAM.replace("manual_seed(0)", f"manual_seed({seed})")
        exec(program, {"__name__": "__main__"})
    *lines, last = printed.getvalue().splitlines()
    found = [match.groups() for match in map(LINE.fullmatch, lines) if match]
    wrong = [""] * (len(found) - 1) + [last.split()[0]]
    return [(seed, int(n), loss, w) for (n, loss), w in zip(found, wrong, strict=True)]


if __name__ == "__main__":
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["seed", "updates", "loss", "wrong_bits"])
    for seed in map(int, sys.argv[1:]):
        table.writerows(rows(seed))
    new = TABLE.with_suffix(".new")
    new.write_text(text.getvalue(), encoding="utf-8")
    os.replace(new, TABLE)
