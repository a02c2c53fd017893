"""What every page of the built book promises, as far as its files show it."""

import re
import sys
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from pages import (
    BOOK,
    ENTRANCE,
    PAGES,
    ROOT,
    book_title,
    is_elsewhere,
    parse,
    references,
    require_book,
)

sys.path.append(str(ROOT / "book" / "_tools"))
import book_pages

HEAVIEST = 500_000  # bytes of a page and its images: 4 s at a megabit a second
each_page = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(autouse=True)
def _book() -> None:
    require_book()


@each_page
def test_a_page_names_no_other_host_for_what_it_fetches(page):
    fetched = "script, link:not([rel=canonical]), img, source, video, audio, iframe, embed, object"
    elsewhere = [
        f"<{name}> {address}"
        for name, address in references(page, fetched)
        if is_elsewhere(address)
    ]
    assert not elsewhere, f"{page} fetches from another host: {elsewhere}"


def test_no_style_sheet_names_another_host():
    fetched = re.compile(
        r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.I
    )
    elsewhere = [
        f"{path.relative_to(BOOK)}: {address}"
        for path in sorted(BOOK.rglob("*.css"))
        for address in fetched.findall(path.read_text(encoding="utf-8"))
    ]
    assert not elsewhere


@cache
def places(page: str) -> set[str]:
    """Return what a link can lead to on a page."""
    return {str(element["id"]) for element in parse(page).select("[id]")}


@each_page
def test_every_link_within_the_book_leads_somewhere(page):
    dead = []
    for name, address in references(page, "a, link, script, img, source"):
        parts = urlsplit(address)
        if parts.scheme or is_elsewhere(address):
            continue
        target = (
            (BOOK / page).parent / unquote(parts.path) if parts.path else BOOK / page
        )
        if not target.is_file():
            dead.append(f"<{name}> {address}: no such file")
        elif parts.fragment and target.suffix == ".html":
            there = places(str(target.resolve().relative_to(BOOK.resolve())))
            if unquote(parts.fragment) not in there:
                dead.append(f"<{name}> {address}: no such place on that page")
    assert not dead, f"{page} has dead links: {dead}"


@each_page
def test_no_two_places_on_a_page_have_one_name(page):
    names = [str(element["id"]) for element in parse(page).select("[id]")]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"{page} has these ids more than once: {twice}"


@each_page
def test_a_page_says_what_it_is(page):
    head = parse(page).head
    language = parse(page).html.get("lang")
    assert language, f"{page}: <html> has no lang"
    title = head.title.get_text()
    assert book_title() in title, (
        f"{page}: the book's name is not in the title {title!r}"
    )
    icon = head.select_one('link[rel~="icon"]')
    assert icon, f"{page} has no favicon"


def said(page: str, key: str) -> str:
    found = parse(page).head.select(f'meta[name="{key}"], meta[property="{key}"]')
    contents = [str(meta["content"]) for meta in found]
    assert len(contents) == 1, f"{page} has {len(contents)} of {key}, needs one"
    return contents[0]


@pytest.mark.parametrize("page", [ENTRANCE, *PAGES])
def test_a_page_describes_itself_in_plain_prose(page):
    for key in ("description", "og:description"):
        text = said(page, key)
        assert 50 <= len(text) <= 320, (
            f"{page}: {key} has {len(text)} characters: {text!r}"
        )
        markup = re.search(r"[\\${}_^<>|*]|https?:", text)
        assert not markup, f"{page}: {key} has {markup[0]!r} in it: {text!r}"
        assert text.endswith((".", "?", "!")), f"{page}: {key} breaks off: {text!r}"
    title = said(page, "og:title")
    assert title, f"{page} has an empty og:title"
    assert not re.search(r"[\\<>{}]", title), (
        f"{page}: og:title is not plain: {title!r}"
    )


@pytest.mark.parametrize("page", [ENTRANCE, *PAGES])
def test_a_link_preview_gives_whole_addresses_or_none(page):
    for meta in parse(page).head.select('meta[property^="og:"]'):
        key, value = str(meta["property"]), str(meta["content"])
        if key in ("og:url", "og:image"):
            parts = urlsplit(value)
            assert parts.scheme in ("http", "https"), f"{page}: {key} is {value!r}"
            assert parts.netloc, f"{page}: {key} is {value!r}"


@pytest.mark.parametrize("page", [ENTRANCE, *PAGES])
def test_a_link_preview_has_a_picture_where_the_address_of_the_book_is_known(page):
    pictures = parse(page).head.select('meta[property="og:image"]')
    for picture in pictures:
        assert (BOOK / "_static" / str(picture["content"]).rpartition("/")[2]).is_file()
    large = said(page, "twitter:card") == "summary_large_image"
    assert len(pictures) == large, f"{page}: {len(pictures)} pictures"


def test_a_published_page_names_its_address_and_its_picture():
    title, url = "Memory", "https://example.org/ntm"
    text = book_pages.tags(
        title, "What it holds.", "The book", f"{url}/", "book/x.html"
    )
    head = BeautifulSoup(text, "html.parser")
    said = {
        str(m.get("property", m.get("name"))): str(m["content"])
        for m in head.select("meta")
    }
    assert said["og:url"] == f"{url}/book/x.html"
    assert said["og:image"].startswith(f"{url}/_static/")
    assert (BOOK / said["og:image"].removeprefix(f"{url}/")).is_file()
    assert said["twitter:card"] == "summary_large_image"


@each_page
def test_a_table_is_no_line_of_bars(page):
    """As it is when a cell's Markdown is read without its tables."""
    assert not re.search(r"<p>\s*\|", (BOOK / page).read_text(encoding="utf-8"))


@each_page
def test_a_page_is_light(page):
    own = (BOOK / page).stat().st_size
    images = {address for _, address in references(page, "img") if ":" not in address}
    shown = sum(
        ((BOOK / page).parent / unquote(address)).stat().st_size for address in images
    )
    assert own + shown < HEAVIEST, f"{page}: {own} bytes of HTML, {shown} of images"


def test_the_folder_leads_to_the_first_page():
    refresh = parse(ENTRANCE).head.select_one('meta[http-equiv="refresh" i]')
    assert refresh, f"{ENTRANCE} leads nowhere"
    first = str(refresh["content"]).partition("url=")[2]
    assert first in PAGES, f"{ENTRANCE} leads to {first!r}, which is no page"
    link = parse(ENTRANCE).select_one("body a")
    assert link, f"{ENTRANCE} has no link for those who are not led"
    assert link["href"] == first


@each_page
def test_a_listing_of_the_package_leads_to_its_place_in_the_api(page):
    for caption in parse(page).select(".code-block-caption"):
        text = caption.select_one(".caption-text").get_text()
        if text.startswith("ntm/") and not text.startswith("ntm/minimal.py"):
            links = [str(a["href"]) for a in caption.select("a.reference")]
            assert any("api.html#ntm." in link for link in links), f"{page}: {text}"


def test_a_listing_shows_its_equation_and_folds_the_rest():
    source = (ROOT / "ntm" / "addressing.py").read_text("utf-8")
    begin = source.index("def shift")
    whole = source[begin : source.index("\n\n\ndef sharpen")]
    listing = parse("book/shift.html").select_one("#code-shift .parts")
    folded = [box.pre.get_text() for box in listing.select("details.folded")]
    shown = [pre.get_text() for pre in listing.find_all("pre", recursive=False)]
    assert "".join(pre.get_text() for pre in listing.select("pre")).strip() == whole
    assert [text.strip()[:5] for text in folded] == ["Args:", "requi"]
    assert all(text in "".join(shown) for text in ("w̃(i) = Σⱼ", "torch.roll", '"""'))
    assert not any(word in "".join(shown) for word in ("Raises:", "raise ", "Chapter"))


def test_a_test_that_is_shown_is_folded():
    listings = parse("book/equations.html").select(".literal-block-wrapper")
    assert len(listings) > 15
    assert all(box.select_one("details.folded > summary") for box in listings)


def test_every_chapter_that_the_api_names_is_a_link():
    names = [
        p for p in parse("book/api.html").select("p") if "Chapter:" in p.get_text()
    ]
    assert len(names) > 15
    assert all(p.select_one("a.internal") for p in names)
