"""Put the whole book into one file to carry away: a PDF, or an EPUB for e-readers.

`carry.py pdf` and `carry.py epub` take the built pages, leave the file beside them, and
offer it on the front page.  Chromium prints the one, pandoc writes the other.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from book_about import citation
from bs4 import BeautifulSoup, Tag
from carry_text import Book, CannotError, new

NAME = "neural-turing-machine"
"""What the files are called, before their endings."""

MARK = "<!-- downloads -->"
"""Where the front page offers the files that there are."""

STYLES = Path(__file__).parent / "carry"
HEADINGS = ["h1", "h2", "h3", "h4", "h5"]
TERMS = "Text CC BY 4.0, code MIT"


def version(book: Book) -> str:
    """Return which edition it is."""
    said = citation(book.root)
    return f"Version {said['version']}, {said['date-released']}"


# --- on paper -------------------------------------------------------------------------


def paper(book: Book) -> BeautifulSoup:
    """Return the page that is printed: a title, a table of contents, and the text."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf").as_uri()
    static = book.pages.resolve() / "_static"
    drawing = (static / "drawing.svg").read_text("utf-8")
    title = escape(str(citation(book.root)["title"]))
    contents, headers = new("nav", new("h1", "Contents"), id="contents"), []
    text = book.text()
    for piece in text:
        heading = piece if piece.name == "h1" else piece.find(["h1", "h2"])
        assert isinstance(heading, Tag)
        words = heading.get_text()
        line = new("a", words, class_="page-of", href=f"#{piece['id']}")
        contents.append(new("p", line, class_=f"to-{heading.name}"))
        if piece.name == "h1":
            continue
        # What is printed above a page hangs on the name of its kind.
        kind = f"page-{len(headers)}"
        piece["style"] = f"page: {kind}"
        quoted = re.sub(r'(["\\])', r"\\\1", words)
        headers.append(f'@page {kind} {{ @top-center {{ content: "{quoted}"; }} }}')
    for part, first in pairwise(text):
        if part.name == "h1":
            part["style"] = first["style"]
    style = (STYLES / "paper.css").read_text("utf-8").replace("FONTS", fonts)
    page = f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
  <head>
    <meta charset="utf-8" />
    <title>{title}</title>
    <link rel="stylesheet" href="{static.as_uri()}/pygments.css" />
    <style>{style} {" ".join(headers)}</style>
    <script>
      MathJax = {{ options: {{
        enableMenu: false, ignoreHtmlClass: "book", processHtmlClass: "math",
      }} }};
    </script>
    <script src="{static.as_uri()}/tex-svg-full.js"></script>
  </head>
  <body class="book">
    <section id="title">
      <h1>{title}</h1>
      {drawing}
      <p>{version(book)}</p>
      <p>{TERMS}</p>
    </section>
    {contents}
    {"".join(map(str, text))}
  </body>
</html>
"""
    return BeautifulSoup(page, "html.parser")


LACKS_CHINESE = """() => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const seen = (letter) => {
    pen.clearRect(0, 0, 60, 60);
    pen.font = "40px serif";
    pen.fillText(letter, 5, 45);
    return pen.getImageData(0, 0, 60, 60).data.join();
  };
  const letters = new Set(document.body.textContent.match(/\\p{Script=Han}/gu));
  const looks = new Set([...letters].map(seen));
  return looks.size < letters.size;  // what is missing has one look
}"""

NUMBERS = """(pages) => {
  for (const link of document.querySelectorAll(".page-of")) {
    link.dataset.page = pages[link.hash.slice(1)];
  }
}"""


def write_pdf(book: Book, target: Path) -> None:
    """Print the book: once to see on which page is what, and again with the numbers."""
    from playwright.sync_api import Error, sync_playwright

    page = paper(book)
    with tempfile.TemporaryDirectory() as folder:
        source, printed = Path(folder, "book.html"), Path(folder, "book.pdf")
        for link in page.select(".page-of"):
            link["data-page"] = "100"  # as wide as most
        source.write_text(str(page), encoding="utf-8")
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium())
                window = browser.new_page()
                window.set_default_timeout(0)
                window.goto(source.as_uri())
                window.evaluate("() => MathJax.startup.promise")
                window.evaluate("() => document.fonts.ready")
                if window.evaluate(LACKS_CHINESE):
                    raise CannotError(
                        "no font has the glossary's Chinese words:"
                        " sudo apt-get install fonts-droid-fallback"
                    )
                paging = {"prefer_css_page_size": True, "print_background": True}
                window.pdf(path=printed, **paging)
                window.evaluate(NUMBERS, page_numbers(printed))
                window.pdf(path=printed, **paging, outline=True, tagged=True)
                browser.close()
        except Error as error:
            raise CannotError(
                f"Chromium: {str(error).strip().splitlines()[0]}"
            ) from None
        headings = [heading.get_text() for heading in page.find_all(HEADINGS)]
        finish(printed, target, headings, citation(book.root))


def page_numbers(printed: Path) -> dict[str, int]:
    """Return the page on which each place that has a link to it is."""
    import pikepdf

    with pikepdf.open(printed) as pdf:
        numbers = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}
        places = pdf.Root.Dests.items()
        return {name[1:]: numbers[place[0].objgen] for name, place in places}


def finish(
    printed: Path, target: Path, headings: list[str], said: dict[str, Any]
) -> None:
    """Give the PDF its author and plain bookmarks, and make it small."""
    import pikepdf

    def every(items: list[pikepdf.OutlineItem]) -> Iterator[pikepdf.OutlineItem]:
        for item in items:
            yield item
            yield from every(item.children)

    with pikepdf.open(printed) as pdf:
        with pdf.open_outline() as outline:
            # Chromium's own run a heading's lines together, and some twice.
            for item, heading in zip(every(outline.root), headings, strict=True):
                item.title = heading
        pdf.docinfo["/Author"] = said["authors"][0]["name"]
        pdf.docinfo["/Subject"] = f"Version {said['version']}"
        del pdf.docinfo["/Creator"]
        pdf.save(target, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def chromium() -> str | None:
    """Return the Chromium that is named or installed; without one, playwright's own."""
    named = os.environ.get("CHROMIUM", "chromium")
    names = (named, "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


# --- for e-readers --------------------------------------------------------------------

LANGUAGES = {"default": "python", "ipython3": "python", "myst-ansi": "", "none": ""}
"""What pandoc calls the language of a listing, where Sphinx has another name."""


def readable(text: Tag, folder: Path) -> None:
    """Write a text as pandoc reads it; its drawings become files of a folder."""
    for section in [*text.find_all("section"), text]:
        heading = section.find(HEADINGS, recursive=False)
        if section.name == "section" and isinstance(heading, Tag):
            # Pandoc cuts at headings, and knows a place by its heading's name.
            section.name = "div"
            if section.has_attr("id"):
                heading["id"] = section["id"]
                del section["id"]
    for formula in text.find_all(["span", "div"], class_="math"):
        for tex in formula.find_all(string=re.compile(r"\\big/")):
            tex.replace_with(tex.replace(r"\big/", "/"))  # in MathML no letter is big
        if formula.name == "span":
            formula.unwrap()
        else:
            formula["class"] = "equation"
    for listing in text.find_all(class_="highlight"):
        outer, pre = listing.parent, listing.pre
        assert outer is not None
        assert pre is not None
        found = re.search(r"highlight-([\w-]+)", " ".join(outer["class"]))
        language = found[1] if found else ""
        code = new("code", pre.get_text().rstrip("\n"))
        pre.replace_with(new("pre", code, class_=LANGUAGES.get(language, language)))
    # Pandoc knows no places in lists of definitions, and none of figures across files.
    for part in text.select(
        "dl.py, dl.py > :is(dt, dd), dl.field-list, dl.field-list > *"
    ):
        part.name = "div"
    for place in text.select("dt[id]"):
        place.insert(0, new("span", id=str(place["id"])))
    for place in text.select("figure[id]"):
        place.wrap(new("div", id=str(place["id"])))
        del place["id"]
    for drawing in text.find_all("svg"):
        file = folder / f"drawing-{len(list(folder.iterdir()))}.svg"
        box = str(drawing.attrs.pop("viewbox"))  # HTML has no capitals
        drawing["viewBox"] = box
        _, _, drawing["width"], drawing["height"] = box.split()
        drawing["style"] = "margin: 0; max-width: none"  # is the page's
        drawing["xmlns"] = "http://www.w3.org/2000/svg"
        file.write_text(str(drawing), encoding="utf-8")
        words = str(drawing["aria-label"])
        drawing.replace_with(new("img", class_="drawing", src=file.as_uri(), alt=words))


def write_epub(book: Book, target: Path) -> None:
    """Have pandoc write the book, in a file for each chapter."""
    import pypandoc

    said, text = citation(book.root), book.text()
    facts = {
        "title": said["title"],
        "subtitle": version(book),
        "author": said["authors"][0]["name"],
        "date": said["date-released"],
        "rights": TERMS,
        "lang": "en",
        "toc-title": "Contents",
    }
    with tempfile.TemporaryDirectory() as folder:
        for piece in text:
            readable(piece, Path(folder))
        try:
            pypandoc.convert_text(
                "".join(map(str, text)),
                "epub3",
                format="html+tex_math_single_backslash",
                outputfile=str(target),
                extra_args=[
                    *(f"--metadata={name}:{value}" for name, value in facts.items()),
                    f"--css={STYLES / 'reader.css'}",
                    f"--epub-cover-image={STYLES / 'cover.png'}",
                    "--mathml",
                    "--split-level=2",
                    "--toc-depth=2",
                    "--fail-if-warnings",
                ],
            )
        except RuntimeError as error:
            raise CannotError(f"pandoc: {' '.join(str(error).split())}") from None


# --- the files ------------------------------------------------------------------------

WRITERS = {"pdf": write_pdf, "epub": write_epub}


def offer(book: Book) -> None:
    """Have the front page offer the files that there are, and no others."""
    front = book.pages / f"{book.names[0]}.html"
    links = []
    for kind in WRITERS:
        file = book.pages / f"{NAME}.{kind}"
        if file.is_file():
            address = os.path.relpath(file, front.parent)
            size = f"{file.stat().st_size / 1e6:.1f} MB"
            links.append(f'<a href="{address}">{kind.upper()}</a> ({size})')
    line = f'<p class="downloads">To carry away: {" and ".join(links)}.</p>'
    old = re.escape(MARK) + r'(?:<p class="downloads">.*?</p>)?'
    page, found = re.subn(old, MARK + (line if links else ""), front.read_text("utf-8"))
    if found != 1:
        raise CannotError(f"the front page has {found} places for downloads, needs 1")
    put(book, front, lambda path: path.write_text(page, encoding="utf-8"))


def put(book: Book, target: Path, write: Callable[[Path], Any]) -> None:
    """Have a file written beside the pages, and put it there when it is whole."""
    if not book.pages.is_dir():
        raise CannotError("no pages: run `make book` first")
    with tempfile.TemporaryDirectory(dir=book.pages.parent) as folder:
        part = Path(folder, target.name)
        write(part)
        part.replace(target)


def main() -> None:
    """Write the file that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=WRITERS)
    kind = parser.parse_args().kind
    book = Book(Path(__file__).parent.parent.parent, os.environ.get("BOOK_URL", ""))
    target = book.pages / f"{NAME}.{kind}"
    try:
        put(book, target, lambda part: WRITERS[kind](book, part))
        offer(book)
    except (CannotError, OSError) as error:
        sys.exit(f"No {kind.upper()}: {error}")
    print(f"Open {target}")


if __name__ == "__main__":
    main()
