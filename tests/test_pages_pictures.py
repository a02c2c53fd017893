"""The machine's drawing outside the pages: in the README, beside a link, on the cover."""

import sys

import numpy as np
import pytest
from PIL import Image
from test_notebooks import ROOT

sys.path.append(str(ROOT / "book" / "_tools"))
import pictures

from ntm.book.drawing import Drawing

AGAIN = "run book/_tools/pictures.py"


def test_the_readme_shows_the_drawing_that_the_chapters_show() -> None:
    for name, ink in pictures.INKS.items():
        stored = (pictures.STATIC / name).read_text("utf-8")
        assert stored == Drawing().svg(ink), f"{name} is of another drawing: {AGAIN}"


each_picture = pytest.mark.parametrize(
    "picture", pictures.SIZES, ids=lambda path: path.name
)


@each_picture
def test_a_painted_picture_was_made_of_the_drawing_as_it_is(picture) -> None:
    with Image.open(picture) as stored:
        assert stored.size == pictures.SIZES[picture]
        assert stored.text["Source"] == pictures.drawn_from(picture), AGAIN


@each_picture
def test_a_painted_picture_is_what_a_browser_paints(browser, picture) -> None:
    # Each computer has a font of its own, and so ink elsewhere; from afar it is alike.
    width, height = (size // 20 for size in pictures.SIZES[picture])
    with Image.open(picture) as stored:
        seen = np.asarray(stored.convert("L").resize((width, height)), dtype=float)
    painted = pictures.painted(browser, picture).convert("L")
    drawn = np.asarray(painted.resize((width, height)), dtype=float)
    assert seen.std() > 10
    assert abs(seen - drawn).mean() < 6, AGAIN
