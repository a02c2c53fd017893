"""Whatever happens to a file of a run: it is refused in one line, or read as it is.

``make fuzz`` does the same with 5,000 damaged files and 100 kills.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import damage
import pytest
import tiny
import torch

from ntm.runs import files
from ntm.runs.run import Run

PORTIONS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    options = {"seeds": (0, 1), "sequences": 4, "memory_locations": 9}
    settings = tiny.settings(task_options={"longest": 2}, **options)
    for _ in Run.start(folder, settings, compiled=False):
        pass
    return folder


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_a_damaged_file_is_refused_in_one_line_or_read_as_it_is(
    whole: Path, tmp_path: Path, portion: int, pytestconfig: pytest.Config
) -> None:
    good = damage.read_all(whole)
    contents = {
        p: p.read_bytes() for p in sorted(whole.iterdir()) if p.name != files.LOCK
    }
    rng = random.Random(portion)
    said = []
    for _ in range(pytestconfig.getoption("fuzz") // PORTIONS):
        for path, data in contents.items():
            (tmp_path / path.name).write_bytes(data)
        path = tmp_path / rng.choice(list(contents)).name
        done = damage.damage(rng, path)
        try:
            said.append(damage.check(tmp_path, good))
        except Exception as error:
            error.add_note(done)
            raise
    refused = [line for line in said if line]
    assert len(said) / 4 < len(refused) < len(said)


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """In a process of its own, which has one thread and may fork."""
    kills = pytestconfig.getoption("kills")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killing.py"), tmp_path, str(kills)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{kills} kills, the same bits\n")
