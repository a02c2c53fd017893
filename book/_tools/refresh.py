"""Run notebooks again, and store what they give: ``refresh.py book/shift.ipynb …``.

A notebook is written only when every cell has run and none has warned, and then all at
once.  What would differ from run to run (dates, the version of Python, random names of
widgets) is left out or made the same, so that a file changes only where its outputs do.
Pictures are stored with 256 colours, which the eye cannot tell and which weigh a third.
"""

import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from PIL import Image

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def run(path: Path) -> str:
    """Return the text of the notebook, run anew in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    started: list[dict[str, Any]] = []
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=True,
        timeout=None,
        on_cell_execute=lambda cell, cell_index: started.append(cell),
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        name, value = getattr(error, "ename", "kernel"), getattr(error, "evalue", error)
        raise SystemExit(f"{place(path, started)}:\n  {name}: {value}") from None
    for number, cell in enumerate(started, 1):
        for output in cell["outputs"]:
            if output.get("name") == "stderr":
                where = place(path, started[:number])
                raise SystemExit(f"{where} warns:\n  {output['text'].rstrip()}")
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lighter(output.data["image/png"])
    return with_lasting_names(notebook) + "\n"


def place(path: Path, started: list[dict[str, Any]]) -> str:
    """Return how to find the last of the code cells that were started."""
    first_line = started[-1]["source"].strip().split("\n")[0]
    return f"{path}, code cell {len(started)} ({first_line})"


def lighter(picture: str) -> str:
    """Return a picture, in base64, with 256 colours if it then weighs less."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        few = image.convert("RGBA").quantize(
            256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        few.save(
            packed := io.BytesIO(), "PNG", optimize=True, dpi=image.info.get("dpi")
        )
    new = base64.b64encode(packed.getvalue()).decode()
    return min(new, picture.replace("\n", ""), key=len)


def with_lasting_names(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook's text, its widgets numbered instead of named at random."""
    text: str = nbformat.writes(notebook)
    widgets = notebook.metadata.get("widgets", {}).values()
    names = [name for group in widgets for name in group.get("state", {})]
    for number, name in enumerate(names):
        text = text.replace(name, f"{number:032x}")
    return nbformat.writes(nbformat.reads(text, as_version=4))  # sorted by new names


def refresh(path: Path) -> None:
    """Run one notebook, and replace its file if it has changed."""
    text = run(path)
    if text == path.read_text(encoding="utf-8"):
        print(f"{path}: as it was")
        return
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
    print(f"{path}: renewed")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if not Path(argument).is_file():
            sys.exit(f"{argument}: no such notebook")
        refresh(Path(argument))
