"""The wheel: what is in it, and that it works where nothing else of the project is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
USE = """
import torch, ntm
assert ntm.__file__.startswith({folder!r}), ntm.__file__
outputs, state, trace = ntm.load("copy-lstm").trace(torch.zeros(3, 9))
ntm.save({folder!r} + "/mine", ntm.NTM(3, 2))
print(type(ntm.load({folder!r} + "/mine")).__name__, ntm.__version__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = "-m pip wheel --no-deps --no-build-isolation --no-index -q -w"
    result = subprocess.run(
        [sys.executable, *command.split(), str(folder), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_is_small_and_holds_the_package_alone(wheel: Path) -> None:
    assert wheel.stat().st_size < 1_100_000  # nine tenths are five machines' weights
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "ntm",
        "neural_turing_machine",
    }
    kinds = {Path(name).suffix for name in names if name.startswith("ntm/")}
    assert kinds <= {".py", ".typed", ".json", ".csv", ".safetensors", ".js", ".css"}
    assert "ntm/py.typed" in names
    shipped = {name.split("/")[2] for name in names if name.endswith(".safetensors")}
    copiers = {"copy-feedforward", "copy-lstm"}
    assert shipped == copiers | {
        "ngrams-lstm",
        "recall-lstm",
        "repeat-lstm",
        "sort-feedforward",
    }


def test_installed_alone_it_loads_and_saves_machines(
    wheel: Path, tmp_path: Path
) -> None:
    """What it depends on is there already; nothing of the clone is."""
    command = "-m pip install --no-deps --no-index -q --target"
    folder = str(tmp_path / "site")
    subprocess.run([sys.executable, *command.split(), folder, str(wheel)], check=True)
    used = subprocess.run(
        [sys.executable, "-c", USE.format(folder=folder)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.split()[0] == "NTM"
