"""The built book as files: which pages there are, and what is written in them."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "_build" / "html"
ENTRANCE = "index.html"
"""The page that leads to the first page; it is none of its own."""

PAGES = sorted(
    str(path.relative_to(BOOK))
    for path in BOOK.rglob("*.html")
    if path != BOOK / ENTRANCE and not path.relative_to(BOOK).parts[0].startswith("_")
) or ["no-page"]
"""Every page, from the book's folder. Without a book one that fails: none would pass."""

CHAPTERS = [page for page in PAGES if "/" in page]


def require_book() -> None:
    """Fail in one line if there is no book to look at."""
    if PAGES == ["no-page"]:
        pytest.fail("no pages in _build/html: run `make book` first", pytrace=False)


@cache
def parse(page: str) -> BeautifulSoup:
    """Return a page's HTML as written, before any script has run."""
    return BeautifulSoup((BOOK / page).read_text(encoding="utf-8"), "html.parser")


def book_title() -> str:
    """Return the title that the book's settings give it."""
    found = re.search(
        r"^title: *(.+?) *$", (ROOT / "_config.yml").read_text("utf-8"), re.M
    )
    assert found, "_config.yml has no title"
    return found[1].strip("\"'")


def references(page: str, selector: str) -> Iterator[tuple[str, str]]:
    """Yield ``(element, address)`` of what a page fetches, links to or shows."""
    for element in parse(page).select(selector):
        for attribute in ("href", "src", "poster", "data"):
            if element.has_attr(attribute):
                yield element.name, str(element[attribute])


def is_elsewhere(address: str) -> bool:
    """Return whether an address names another host."""
    return bool(re.match(r"(?:[a-z][a-z0-9+.-]*:)?//", address, re.I))
