"""What every notebook of the book promises as a file; `pytest --nbval` looks at the rest.

Cells are named by their place among the code cells, which is also the number that
JupyterLab shows beside them, and by their first line.
"""

import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
REFRESH = ROOT / "book" / "_tools" / "refresh.py"
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(home|root|Users|tmp|var|usr|opt|mnt|work)/|\b[A-Z]:\\+Users"
)

every_notebook = pytest.mark.parametrize(
    "notebook",
    [
        pytest.param(nbformat.read(path, as_version=4), id=path.name)
        for path in NOTEBOOKS
    ],
)


def code_cells(notebook: Any) -> Iterator[tuple[str, Any]]:
    """Give the code cells that hold something, each with its name for a message."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    for number, cell in enumerate(cells, start=1):
        yield f"code cell {number} ({cell.source.strip().splitlines()[0]})", cell


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@every_notebook
def test_every_code_cell_was_run_in_order(notebook: Any) -> None:
    """One that was never run is not compared by nbval."""
    for number, (name, cell) in enumerate(code_cells(notebook), start=1):
        assert cell.execution_count is not None, f"{name} was never run: make refresh"
        assert cell.execution_count == number, (
            f"{name} was run out of order: make refresh"
        )


@every_notebook
def test_no_cell_warns_or_fails(notebook: Any) -> None:
    for name, cell in code_cells(notebook):
        may_fail = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            assert output.get("name") != "stderr", (
                f"{name} writes to stderr: {output.text}"
            )
            assert output.output_type != "error" or may_fail, f"{name}: {output.evalue}"


@every_notebook
def test_every_solution_solves_its_exercise(notebook: Any) -> None:
    """Each exercise is checked twice: with nothing filled in, and with its solution."""
    counts = [
        re.search(r"^(\d+) of (\d+) agree$", cell.outputs[0].text, re.MULTILINE)
        for _, cell in code_cells(notebook)
        if re.search(r"^check\(", cell.source, re.MULTILINE)
    ]
    for empty, solved in zip(counts[::2], counts[1::2], strict=True):
        assert empty
        assert empty[1] == "0"
        assert solved
        assert solved[1] == solved[2], f"a solution differs: {solved[0]}"


@every_notebook
def test_every_picture_says_in_words_what_it_shows(notebook: Any) -> None:
    for name, cell in code_cells(notebook):
        if any(
            kind.startswith("image/")
            for o in cell.outputs
            for kind in o.get("data", ())
        ):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 30, f"{name}: alt text {alt!r} is too short"
            assert not re.search(r"\.(png|svg|jpe?g)\b", alt), (
                f"{name}: {alt!r} names a file"
            )


@every_notebook
def test_a_chapter_ends_with_five_lines_to_keep(notebook: Any) -> None:
    if notebook.cells[0].source.startswith("# The machine, alive"):
        return  # the front page
    kept = notebook.cells[-1].source.partition("## What to keep\n\n")[2]
    lines = kept.partition("\n\n")[0].splitlines()
    assert len([line for line in lines if re.match(r"- |\d\. ", line)]) == 5


@every_notebook
def test_every_picture_is_stored_with_few_colours(notebook: Any) -> None:
    for name, cell in code_cells(notebook):
        for output in cell.outputs:
            if packed := output.get("data", {}).get("image/png"):
                with Image.open(io.BytesIO(base64.b64decode(packed))) as picture:
                    assert picture.mode == "P", f"{name}: `make refresh` it"


@every_notebook
def test_no_path_of_a_machine_is_shown(notebook: Any) -> None:
    for cell in notebook.cells:
        shown = [cell.source]
        for output in cell.get("outputs", []):
            data = output.get("data", {}).items()
            texts = {k: v for k, v in data if k not in ("image/png", "image/jpeg")}
            shown.append(json.dumps({**output, "data": texts}, ensure_ascii=False))
        for text in shown:
            found = MACHINE_PATH.search(text)
            assert not found, f"cell {cell.id}: {text[found.start() :][:60]}"


@every_notebook
def test_it_opens_with_its_title_and_has_no_other(notebook: Any) -> None:
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert notebook.cells[0].cell_type == "markdown", "the first cell is not the title"
    assert prose.startswith("# "), "the first line is not the title"
    outside_fences = re.sub(r"(?ms)^(`{3,}|:{3,}).*?^\1", "", prose)
    titles = re.findall(r"(?m)^# .+", outside_fences)
    assert len(titles) == 1, f"more than one title: {titles}"


def test_every_notebook_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = toc.get("parts", [{"chapters": toc.get("chapters", [])}])
    listed = {toc["root"]} | {c["file"] for part in parts for c in part["chapters"]}
    missing = {f"book/{path.stem}" for path in NOTEBOOKS} - listed
    assert not missing, f"not in _toc.yml: {', '.join(sorted(missing))}"


def write_notebook(path: Path, *cells: tuple[str, str]) -> None:
    """Write a notebook of cells that were run, each a source and what it printed."""
    notebook = nbformat.v4.new_notebook()
    for number, (source, printed) in enumerate(cells, start=1):
        output = nbformat.v4.new_output("stream", name="stdout", text=printed)
        notebook.cells.append(
            nbformat.v4.new_code_cell(source, execution_count=number, outputs=[output])
        )
        notebook.cells[-1].id = f"cell-{number}"
    nbformat.write(notebook, path)


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True
    )


def test_nbval_names_the_cell_whose_stored_output_is_wrong(tmp_path: Path) -> None:
    write_notebook(tmp_path / "edited.ipynb", ("print(1)", "1\n"), ("print(2)", "3\n"))
    result = python("-m", "pytest", "--nbval", "--nbval-current-env", cwd=tmp_path)
    assert result.returncode == 1
    assert "FAILED edited.ipynb::Cell 1" in result.stdout
    assert "1 failed, 1 passed" in result.stdout


def test_refresh_stores_what_the_cells_give_and_then_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.ipynb"
    widgets = (
        "from ipywidgets import HBox, IntText\nHBox([IntText(i) for i in range(9)])"
    )
    write_notebook(
        path, ("import os\nprint(os.getcwd())", "elsewhere\n"), (widgets, "")
    )
    result = python(str(REFRESH), str(path), str(path), cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{path}: renewed\n{path}: as it was\n"
    renewed = path.read_bytes()
    assert str(tmp_path).encode() in renewed


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("x = 1\n1 / 0", " (x = 1):\n  ZeroDivisionError: division by zero\n"),
        (
            "import sys\nprint('no such font', file=sys.stderr)",
            " (import sys) warns:\n  no such font\n",
        ),
    ],
    ids=["fails", "warns"],
)
def test_refresh_leaves_a_notebook_that_fails_or_warns_and_names_the_cell(
    tmp_path: Path, cell: str, said: str
) -> None:
    path = tmp_path / "failing.ipynb"
    write_notebook(path, ("print(1)", "2\n"), (cell, "\n"))
    before = path.read_bytes()
    result = python(str(REFRESH), str(path), cwd=ROOT)
    assert result.returncode == 1
    assert result.stderr.endswith(f"{path}, code cell 2{said}")
    assert path.read_bytes() == before
