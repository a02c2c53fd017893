"""The machine's drawing outside the pages: in the README, and beside a link to a page."""

import sys

import numpy as np
from PIL import Image
from test_notebooks import ROOT

sys.path.append(str(ROOT / "book" / "_tools"))
import pictures

from ntm.book.drawing import Drawing

PREVIEW = pictures.STATIC / "preview.png"
AGAIN = "run book/_tools/pictures.py"


def test_the_readme_shows_the_drawing_that_the_chapters_show() -> None:
    for name, ink in pictures.INKS.items():
        stored = (pictures.STATIC / name).read_text("utf-8")
        assert stored == Drawing().svg(ink), f"{name} is of another drawing: {AGAIN}"


def test_the_picture_beside_a_link_was_made_of_the_drawing_as_it_is() -> None:
    with Image.open(PREVIEW) as stored:
        assert stored.size == (1200, 630)
        assert stored.text["Source"] == pictures.drawn_from(), AGAIN


def test_the_picture_beside_a_link_is_what_a_browser_paints(browser) -> None:
    # Each computer has a font of its own, and so ink elsewhere; from afar it is alike.
    small = (60, 32)
    with Image.open(PREVIEW) as stored:
        seen = np.asarray(stored.convert("L").resize(small), dtype=float)
    drawn = np.asarray(
        pictures.preview(browser).convert("L").resize(small), dtype=float
    )
    assert seen.std() > 10
    assert abs(seen - drawn).mean() < 6, AGAIN
