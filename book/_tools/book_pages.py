"""What the book's pages need beyond their theme: mathematics without a network."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset_file

MATHJAX = "tex-svg-full.js"
"""All of MathJax's TeX in one file; it draws with paths, so it asks for no fonts."""


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy that one file, out of the 24 MB of sphinx-mathjax-offline."""
    package = find_spec("sphinx-mathjax-offline")
    if error is None and package is not None and package.origin is not None:
        source = Path(package.origin).parent / "static" / "mathjax" / MATHJAX
        copy_asset_file(str(source), str(app.outdir / "_static"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.config.mathjax_path = MATHJAX
    app.config.mathjax3_config = {"options": {"enableMenu": False}}
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
