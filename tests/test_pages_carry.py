"""The book to carry away: the PDF and the EPUB have all that the pages have."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pikepdf
import pytest
from bs4 import Tag
from pages import BOOK, ROOT, parse, require_book

sys.path.append(str(ROOT / "book" / "_tools"))
import carry
from carry_text import Book, CannotError

SHOWN = [
    "img",
    "svg",
    "highlight",
    "table",
    "math",
    "eqno",
    "caption-number",
    "citation",
]
"""Elements and classes of what is shown on a page, and so in the book."""

CHAPTER = "book/content"


@pytest.fixture
def short(tmp_path: Path) -> Book:
    """Return a book of two of the pages, one of them in a part."""
    require_book()
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "html").symlink_to(BOOK)
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    toc = f"""{{root: book/about, parts: [
      {{caption: Addressing, chapters: [{{file: {CHAPTER}}}]}}]}}"""
    (tmp_path / "_toc.yml").write_text(toc)
    return Book(tmp_path)


def census(text: Tag) -> Counter[str]:
    """Return how many elements there are of each name and of each class."""
    every = text.find_all(True)
    found = Counter(element.name for element in every)
    found.update(name for element in every for name in element.get("class", []))
    return found


def words(*texts: Tag) -> Counter[str]:
    """Return how often each word is in a text."""
    return Counter(w for text in texts for w in re.findall(r"\w+", text.get_text(" ")))


def test_all_that_is_on_the_pages_is_in_the_book_and_every_link_finds_it() -> None:
    require_book()
    book = Book(ROOT)
    text = {part["id"]: part for part in book.text()}
    for name in book.names:
        page, chapter = parse(f"{name}.html").article, text[name.rpartition("/")[2]]
        there, here = census(page), census(chapter)
        differ = [what for what in SHOWN if there[what] != here[what]]
        assert not differ, f"{name}: not the same number of {differ}"
        assert not here["details"] + here["script"], f"{name} moves"
        lost = words(page) - words(*page.find_all("summary")) - words(chapter)
        assert not lost, f"{name} has lost {lost}"
    ids: Counter[str] = Counter()
    links = []
    for part in text.values():
        ids.update(str(place["id"]) for place in [part, *part.find_all(id=True)])
        links += [str(link["href"]) for link in part.find_all("a", href=True)]
    assert ids.most_common(1)[0][1] == 1, ids.most_common(3)
    inside = {link.removeprefix("#") for link in links if ":" not in link}
    assert len(inside) > 500
    assert not inside - set(ids)


def test_what_is_folded_stands_at_the_end_with_links_there_and_back(short) -> None:
    page, chapter = parse(f"{CHAPTER}.html"), short.chapter(CHAPTER)
    boxes = chapter.select(".end > .box")
    folded = page.select("details.solution, details.hide, details:has(> ol)")
    assert len(boxes) >= len(folded) > 5
    for box in boxes:
        back = box.select_one(".title a")["href"].removeprefix("#")
        pointer = chapter.find(id=back)
        assert pointer["href"] == f"#{box['id']}"
        assert not pointer.find_parent(class_="end")
    titles = [box.select_one(".title").get_text() for box in boxes]
    assert not [title for title in titles if re.search(r"\w\(", title)]  # one word
    for solution in page.select("details.solution > summary"):
        assert solution.get_text(strip=True).removeprefix("Solution to ") in titles


def test_a_live_figure_stands_still_and_says_where_it_moves(short) -> None:
    still = short.chapter(CHAPTER).select(".still")
    assert len(still) == len(parse(f"{CHAPTER}.html").select("article script")) > 0
    url = "https://example.org/book"
    said = Book(short.root, url).chapter(CHAPTER).select_one(".still a")
    assert said["href"] == f"{url}/{CHAPTER}.html"


def test_the_pdf_has_bookmarks_and_links_and_its_own_letters(short, tmp_path) -> None:
    target = tmp_path / "book.pdf"
    # In a thread of its own: a browser of other tests may be open in this one.
    with ThreadPoolExecutor() as pool:
        pool.submit(carry.write_pdf, short, target).result()
    with pikepdf.open(target) as pdf:
        assert pdf.docinfo["/Title"] == "The Neural Turing Machine, taken apart"
        with pdf.open_outline() as outline:
            _, contents, about, part = outline.root
            titles = [item.title for item in part.children]
        assert (contents.title, about.title) == ("Contents", "About this book")
        assert (part.title, titles) == ("Addressing", ["4. Finding by content"])
        annotations = [note for page in pdf.pages for note in page.get("/Annots", [])]
        places = {str(note["/Dest"]) for note in annotations if "/Dest" in note}
        assert len(places) > 20
        assert places <= set(pdf.Root.Dests.keys())
        links = [str(n.A.URI) for n in annotations if "/A" in n and "/URI" in n.A]
        assert links
        assert not [link for link in links if not link.startswith("http")]
        fonts = {
            str(font.get("/BaseFont", ""))
            for page in pdf.pages
            for font in page.Resources.get("/Font", {}).values()
        }
        for name in ("STIXGeneral-Regular", "STIXGeneral-Italic", "DejaVuSansMono"):
            assert any(font.endswith(name) for font in fonts), fonts
    numbers = carry.page_numbers(target)
    assert numbers["about"] == 3
    assert 3 < numbers["content"] < numbers["content.answer-0-there"] < 15


def test_the_epub_is_well_formed_and_has_its_formulas_as_mathml(short) -> None:
    target = short.root / "book.epub"
    carry.write_epub(short, target)
    with zipfile.ZipFile(target) as epub:
        assert epub.namelist()[0] == "mimetype"
        files = {name: epub.read(name) for name in epub.namelist()}
    pages = {
        name: ElementTree.fromstring(data.decode())
        for name, data in files.items()
        if name.endswith(("xhtml", "opf", "ncx"))
    }
    formulas = [
        found
        for page in pages.values()
        for found in page.iter("{http://www.w3.org/1998/Math/MathML}math")
    ]
    assert len(formulas) == len(parse(f"{CHAPTER}.html").select("article .math"))
    assert not [name for name, data in files.items() if rb"\(" in data]
    pictures = [n for n in files if n.endswith(("png", "svg"))]
    shown = census(parse(f"{CHAPTER}.html").article)
    assert len(pictures) == shown["img"] + shown["svg"] + 1  # the cover
    drawing = next(files[name] for name in pictures if name.endswith("svg"))
    assert {"width", "height", "viewBox"} <= set(ElementTree.fromstring(drawing).attrib)
    for name, page in pages.items():
        for link in page.iter("{http://www.w3.org/1999/xhtml}a"):
            address, _, place = link.get("href", "").partition("#")
            if place and ":" not in address:
                there = Path(name).parent / address if address else Path(name)
                ids = {element.get("id") for element in pages[str(there)].iter()}
                assert place in ids, f"{name} leads to {link.get('href')}"


def test_the_front_page_offers_the_files_that_there_are(tmp_path: Path) -> None:
    pages = tmp_path / "_build" / "html"
    (pages / "book").mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text("root: book/front")
    front = pages / "book" / "front.html"
    front.write_text(f"<p>Before.</p>{carry.MARK}<p>After.</p>")
    book, before = Book(tmp_path), front.read_text()
    for kind, offered in (("epub", ["epub"]), ("pdf", ["pdf", "epub"])):
        (pages / f"{carry.NAME}.{kind}").write_bytes(bytes(1_400_000))
        for _ in range(2):
            carry.offer(book)
            links = re.findall(
                r'href="\.\./[\w-]+\.(\w+)">\w+</a> \(1\.4 MB\)', front.read_text()
            )
            assert links == offered
    for kind in ("epub", "pdf"):
        (pages / f"{carry.NAME}.{kind}").unlink()
    carry.offer(book)
    assert front.read_text() == before
    front.write_text("<p>Before.</p>")
    with pytest.raises(CannotError, match="0 places"):
        carry.offer(book)


def test_the_front_page_has_one_place_for_downloads_and_offers_what_is_there() -> None:
    require_book()
    front = Book(ROOT).pages / f"{Book(ROOT).names[0]}.html"
    assert front.read_text("utf-8").count(carry.MARK) == 1
    offered = {
        str(a["href"]) for a in parse("book/preface.html").select(".downloads a")
    }
    there = {f"../{path.name}" for path in BOOK.glob(f"{carry.NAME}.*")}
    assert offered == there


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.pages.mkdir(parents=True)
    target = book.pages / "book.pdf"
    target.write_text("whole")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        carry.put(book, target, fail)
    assert target.read_text() == "whole"
    assert list(book.pages.parent.rglob("*")) == [book.pages, target]


@pytest.mark.parametrize("kind", ["pdf", "epub"])
def test_without_pages_a_line_says_what_to_do(tmp_path: Path, kind: str) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_tools").symlink_to(ROOT / "book" / "_tools")
    tool = tmp_path / "book" / "_tools" / "carry.py"
    done = subprocess.run([sys.executable, tool, kind], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"No {kind.upper()}: no pages: run `make book` first\n"
