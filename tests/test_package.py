"""The package as a whole: what it imports, and what importing it costs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ntm

TINY = """
from ntm.training.settings import Settings
from ntm.training.trainer import Trainer

tiny = Settings(memory_locations=5, memory_width=3, controller_size=4, batch_size=1)
trained = Trainer(tiny, compiled={compiled})
trained.update()
assert trained.evaluate()[0].bits > 0
assert not trained.stacked.compiled
"""


def imported(*stages: str, where: Path | None = None) -> list[set[str]]:
    """What a fresh process imports for each of these pieces of code, one after another."""
    code = "import sys\nhad = {*sys.modules}\n"
    for stage in stages:
        code += f"{stage}\nprint(*{{*sys.modules}} - had)\nhad = {{*sys.modules}}\n"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=where
    )
    assert result.returncode == 0, result.stderr
    return [set(line.split()) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def by_stage() -> list[set[str]]:
    training = "import ntm.cli, ntm.pretrained" + TINY.format(compiled=False)
    return imported("import torch", "import ntm", training)


def test_importing_ntm_loads_torch_and_itself_and_nothing_else(
    by_stage: list[set[str]],
) -> None:
    """So it takes no longer than torch; counting modules, unlike seconds, holds on any machine."""
    ours = {"ntm"} | {
        f"ntm.{name}"
        for name in (
            "_checks",
            "addressing",
            "baseline",
            "controllers",
            "heads",
            "machine",
            "memory",
            "recurrent",
        )
    }
    assert by_stage[1] == ours


def test_the_compiler_is_imported_only_where_something_is_compiled(
    by_stage: list[set[str]],
) -> None:
    """It takes as long to import as all the rest of PyTorch."""
    assert "ntm.training.trainer" in by_stage[2]
    loaded = set.union(*by_stage)
    assert not {m for m in loaded if m.startswith(("torch._inductor", "ntm.fast"))}


def test_without_the_folder_fast_everything_works_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    leave = shutil.ignore_patterns("fast", "pretrained", "__pycache__")
    package = Path(ntm.__file__).parent
    shutil.copytree(package, tmp_path / "ntm", ignore=leave)
    shutil.copytree(
        package / "pretrained",
        tmp_path / "ntm" / "pretrained",
        ignore=lambda folder, names: [n for n in names if not n.endswith(".py")],
    )
    code = f"sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "import ntm.cli, ntm.pretrained" + TINY.format(compiled=True)
    code += f"assert ntm.__file__.startswith({str(tmp_path)!r})\n"
    code += 'assert ntm.cli.main(["bench"]) == 1'  # it says that it needs ntm.fast
    (modules,) = imported(code, where=tmp_path)
    assert "ntm.training.trainer" in modules
