"""The page that leads from each equation to its function and its test leaves none out."""

import re
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parent.parent / "book"
PAGE = (BOOK / "equations.md").read_text()


def chapters() -> str:
    cells = [
        cell.source
        for path in sorted(BOOK.glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    return "\n".join(cells)


LABELS = re.findall(r"^\$\$ \((eq-[\w-]+)\)$", chapters(), flags=re.MULTILINE)


def test_the_chapters_have_numbered_equations() -> None:
    assert len(LABELS) >= 14
    assert len(LABELS) == len(set(LABELS))


@pytest.mark.parametrize("label", LABELS)
def test_an_equation_has_a_row_with_a_test_that_is_shown(label: str) -> None:
    row = next((line for line in PAGE.splitlines() if f"{{eq}}`{label}`" in line), None)
    assert row, f"{label}: no row in book/equations.md"
    test = re.search(r"<(test-[\w-]+)>", row)
    assert test, f"{label}: its row names no test"
    assert f":name: {test[1]}\n" in PAGE, f"{label}: {test[1]} is shown nowhere"
    for listing in re.findall(r"<(code-[\w-]+)>", row):
        assert f":name: {listing}\n" in chapters(), (
            f"{label}: {listing} is shown nowhere"
        )


def test_a_docstring_names_a_chapter_that_there_is() -> None:
    pages = [chapters(), *(page.read_text() for page in sorted(BOOK.glob("*.md")))]
    titles = set(re.findall(r"^# (.+)$", "\n".join(pages), flags=re.MULTILINE))
    for path in sorted((BOOK.parent / "ntm").rglob("*.py")):
        for chapter in re.findall(r"Chapter: \*(.+)\*\.", path.read_text()):
            assert chapter in titles, f"{path.name}: no chapter is called {chapter!r}"
