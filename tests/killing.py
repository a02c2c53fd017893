"""Kill a small run again and again: ``python tests/killing.py FOLDER KILLS``.

Each time a child is killed by force, half of them at a random moment, the other half as
it is about to open, rename or remove its k-th file; the next one goes on.  At its end
every run has to hold what one that was never killed holds.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import tiny
import torch

from ntm.runs import files, trained
from ntm.runs.files import CARD, CURVE, TRIALS
from ntm.runs.folder import SETTINGS
from ntm.runs.run import Run

SETTLED = {"seconds"}
"""What of a card depends on the clock."""


def go_on(folder: Path, first: Path) -> None:
    if (folder / SETTINGS).exists():
        run = Run.resume(folder, compiled=False)
    else:
        options = {"task_options": {"longest": 2}, "memory_locations": 9}
        settings = tiny.settings(seeds=(0, 1), sequences=16, **options)
        start_from = first if first.exists() else None
        run = Run.start(folder, settings, compiled=False, init_from=start_from)
    for _ in run:
        pass


def left(folder: Path) -> dict[str, Any]:
    card = files.read_json(folder / CARD)
    card.get("first", {}).pop("seconds", None)
    trained.load(folder)
    return {
        "checkpoint": tiny.checkpoint(folder),
        "weights": tiny.weights(folder).read_bytes(),
        "files": {n: (folder / n).read_bytes() for n in (CURVE, TRIALS, SETTINGS)},
        "card": {n: v for n, v in card.items() if n not in SETTLED},
        "names": sorted(path.name for path in folder.iterdir()),
    }


def in_a_child(folder: Path, first: Path, at_file: int | None) -> int:
    """Begin or go on in a child; return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    with contextlib.suppress(BaseException):
        if at_file is not None:
            dies_at(folder, at_file)
        go_on(folder, first)
        status = 0
    os._exit(status)


def dies_at(folder: Path, count: int) -> None:
    """Kill this process when it is about to do something with its k-th file."""
    left_to_do = count

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left_to_do
        touched = event in ("open", "os.rename", "os.remove", "os.mkdir")
        if touched and str(arguments[0]).startswith(str(folder)):
            left_to_do -= 1
            if left_to_do < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def main(where: Path, kills: int) -> None:
    torch.set_num_threads(1)
    rng = random.Random(kills)
    first, whole = where / "first", where / "whole"
    began = time.monotonic()
    for folder, source in ((first, where / "none"), (whole, first)):
        assert os.waitpid(in_a_child(folder, source, None), 0)[1] == 0
    takes = (time.monotonic() - began) / 2
    expected = left(whole)
    done = runs = moments = 0
    while done < kills:
        folder = where / "x"
        shutil.rmtree(folder, ignore_errors=True)
        runs += 1
        while True:
            by_clock = rng.random() < 0.5 and done < kills
            at_file = None if by_clock or done >= kills else rng.randrange(60)
            child = in_a_child(folder, first, at_file)
            if by_clock:
                time.sleep(rng.uniform(0, takes))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            if os.WIFSIGNALED(status):
                done += 1
                moments += by_clock
                continue
            assert status == 0, f"after {done} kills a child failed in {folder}"
            break
        got = left(folder)
        for name, value in expected.items():
            assert got[name] == value, f"{name} differs after {done} kills"
    print(
        json.dumps({"runs": runs, "by the clock": moments, "at a file": done - moments})
    )
    print(f"{done} kills, the same bits")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
