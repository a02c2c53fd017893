"""What the README and its companions say is so."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import yaml

import ntm
from ntm.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_examples_print_what_is_written_under_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, shape, example, output, table = re.findall(
        r"```(?:python|text)\n(.*?)```", README, re.DOTALL
    )
    typed = re.findall(r"-m ntm (try .*)", README)[0].split()
    for act, expected in (
        (lambda: exec(own, {}), shape),
        (lambda: exec(example, {}), output),
        (lambda: main(typed), table),
    ):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            act()
        assert printed.getvalue() == expected


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_file_that_is_named_exists(text: str) -> None:
    named = set(re.findall(r"\b(?:book|tests|ntm)/[\w/]+\.\w+", text))
    named |= {name for name in re.findall(r"\]\(([^)]+)\)", text) if ":" not in name}
    named |= set(re.findall(r'(?:src|srcset)="([^"]+)"', text))
    missing = sorted(
        n for n in named if n != "book/yours.ipynb" and not (ROOT / n).exists()
    )
    assert not missing


def test_every_make_command_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = set(re.findall(r"(?m)^([a-z]+):.*## ", makefile))
    assert {"book", "test", "lab", "refresh", "clean", "help"} <= goals
    assert set(re.findall(r"\bmake ([a-z]+)", README + CONTRIBUTING)) <= goals


def test_the_citation_names_the_book_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert citation["title"] == config["title"]
    assert "1410.5401" in str(citation["references"])
    assert citation["version"] == ntm.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## (.+)", changes)[0] == ntm.__version__
