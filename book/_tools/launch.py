"""Puts a cell that installs the package first in each notebook, for Colab and Binder.

They open one notebook, from a branch of a public repository.  The workflow that
publishes the pages writes that branch, `launch`; nothing else has this cell.
"""

import argparse
import json
from pathlib import Path
from typing import Any

BOOK = Path(__file__).parent.parent

INSTALL = """# Where the package is not installed yet: get the book, and install it.
from importlib.util import find_spec

if not find_spec("ntm"):
    !git clone --quiet --depth 1 {url} the-book
    %cd -q the-book/book
    %pip install --quiet "..[notebooks]\""""


def launchable(notebook: dict[str, Any], url: str) -> dict[str, Any]:
    """Return a notebook with that cell before its others."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "install",
        "metadata": {},
    }
    cell |= {"outputs": [], "source": INSTALL.format(url=url).splitlines(keepends=True)}
    return notebook | {"cells": [cell, *notebook["cells"]]}


def main() -> None:
    """Change the notebooks in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the repository")
    url = parser.parse_args().url
    for path in sorted(BOOK.glob("*.ipynb")):
        changed = launchable(json.loads(path.read_text("utf-8")), url)
        text = json.dumps(changed, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
