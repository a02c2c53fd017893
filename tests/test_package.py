"""The package as a whole: what it imports, and what importing it costs."""

import subprocess
import sys


def modules_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_ntm_loads_torch_and_itself_and_nothing_else() -> None:
    """So it takes no longer than torch; counting modules, unlike seconds, holds on any machine."""
    beyond_torch = modules_after("import ntm") - modules_after("import torch")
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
    assert beyond_torch == ours
