"""What the book's pages need beyond their theme.

Mathematics without a network, dropdowns that are the browser's own, pictures that know
their size, and a description of every page for search engines and link previews.  How
the pages look is in `_static/pages.css`; what moves on them, in `_static/pages.js`.
"""

import ast
import json
import os
import re
import sys
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

from bs4 import BeautifulSoup, NavigableString, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude
from sphinx.ext.autodoc.mock import _MockModule
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.fileutil import copy_asset_file

MATHJAX = "tex-svg-full.js"
"""All of MathJax's TeX in one file; it draws with paths, so it asks for no fonts."""

WIDGET, PICTURE = "application/vnd.jupyter.widget-view+json", "image/png"

GENERATED = {"search": "Search"}
"""The titles of the pages that no one wrote."""

NARROW = 50
"""Characters of a printed line that fit a phone."""

FEW = 2
"""Lines of a listing that are not worth folding."""

PREVIEW = "preview.png"
"""What a link to a page is shown with: `_tools/pictures.py` draws it."""

SHORTEST, ENOUGH, LONGEST = 50, 120, 300
"""Characters of a description: shorter says nothing, longer is cut when shown."""


def mend(soup: BeautifulSoup, pictures: dict[str, Path]) -> None:
    """Mend the body of a page; ``pictures`` leads from a picture's name to its file."""
    for box in soup.select(".admonition.dropdown"):
        title = box.select_one(".admonition-title")
        if title is None:
            continue
        # The browser's own dropdown works by keyboard and without a script.
        box.name, title.name = "details", "summary"
        for link in title.select("a"):  # a click on it would not open the dropdown
            link.unwrap()
    # Every exercise on a page gets this same id, and an id must be the only one.
    for section in soup.select("#exercise-content, #solution-content"):
        section.name = "div"
        del section["id"]
    # To a screen reader a list may hold nothing but items, and these hold links.
    for citation in soup.select(".citation-list, .citation"):
        del citation["role"]
    # A list of definitions has terms; the lines of a signature have none.
    for lines in soup.select(".sig dl, .sig dd"):
        lines["class"] = "sig-line" if lines.name == "dd" else "sig-lines"
        lines.name = "span"
    for listing in soup.select(".literal-block-wrapper"):
        fold(soup, listing)
    for printed in soup.select(".cell_output pre"):
        if not any(part.get_text() for part in printed.find_all(True)):
            lines = printed.get_text().splitlines(keepends=True)
            printed.clear()
            for line in lines:
                printed.append(line)
                if len(line) > NARROW:
                    # In a box of its own, it goes on below, indented.
                    part = soup.new_tag("span", attrs={"class": "printed"})
                    printed.contents[-1].wrap(part)
    for table in soup.select("table"):
        # Where its columns do not fit side by side, each number says which it is of.
        columns = [column.get_text() for column in table.select("thead th")]
        if columns and not any("\\" in column for column in columns):
            for row in table.select("tbody tr"):
                for cell, column in zip(row.select("td"), columns, strict=False):
                    if cell.get_text(strip=True):
                        cell["data-column"] = column
    for image in soup.select("img"):
        path = pictures.get(Path(str(image["src"])).name)
        if path is not None and path.suffix == ".png":
            # A notebook fixes both sizes in a style, which squeezes it on a phone.
            del image["style"]
            if "image-reference" in image.parent.get("class", []):
                image.parent.unwrap()  # a link to the same picture
            image["width"], image["height"] = map(str, png_size(path.read_bytes()))
    for formula in soup.select("span.math"):
        # A drawn formula may end a line, and the comma behind it begin the next.
        after = formula.next_sibling
        mark = isinstance(after, NavigableString) and re.match(r"[.,;:!?)’”]+", after)
        if mark:
            after.replace_with(NavigableString(after[mark.end() :]))
            formula.wrap(soup.new_tag("span", attrs={"class": "together"}))
            formula.insert_after(NavigableString(mark[0]))


def fold(soup: BeautifulSoup, listing: Tag) -> None:
    """Fold what a listing holds besides the equation and its lines; a test, whole."""
    box = listing.select_one("div.highlight")
    caption = listing.select_one(".caption-text")
    if box is None or box.pre is None or caption is None:
        return
    if caption.get_text().startswith("tests/"):
        whole = box.wrap(soup.new_tag("details", attrs={"class": "folded"}))
        whole.insert(0, soup.new_tag("summary", string="Show the test"))
        return
    lines = box.pre.decode_contents().splitlines(keepends=True)
    shown, parts = 0, ""
    for first, last, summary in foldable(box.pre.get_text()):
        parts += f"<pre>{''.join(lines[shown:first])}</pre>"
        inner = f"<summary>{summary}</summary><pre>{''.join(lines[first:last])}</pre>"
        parts += f'<details class="folded">{inner}</details>'
        shown = last
    if parts:
        parts += f"<pre>{''.join(lines[shown:])}</pre>"
        whole = soup.new_tag("div", attrs={"class": "parts"})
        whole.append(BeautifulSoup(parts, "html.parser"))
        box.pre.replace_with(whole)


def foldable(source: str) -> list[tuple[int, int, str]]:
    """Return the lines, from and to, that say nothing of the equation, with a name."""
    try:
        tree = ast.parse(dedent(source))
    except SyntaxError:  # a part of a file
        return []
    lines = source.splitlines()
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if ast.get_docstring(node):
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno or 0
            for row in range(first, last):
                if re.match(r" *(Args|Returns|Raises|Chapter):", lines[row]):
                    found.append((row, last - 1, "arguments, result, errors"))
                    break
        checks = [part for part in node.body if is_check(part)]
        if checks:
            first, last = checks[0].lineno - 1, checks[-1].end_lineno or 0
            found.append((first, last, "checks of the arguments"))
    return sorted(part for part in found if part[1] - part[0] > FEW)


def is_check(statement: ast.stmt) -> bool:
    """Return whether a statement does nothing but refuse what does not fit."""
    if isinstance(statement, ast.If):
        return isinstance(statement.body[-1], ast.Raise) or is_check(statement.body[-1])
    call = statement.value if isinstance(statement, ast.Expr) else None
    name = call.func if isinstance(call, ast.Call) else None
    return isinstance(name, ast.Name) and name.id.startswith("require_")


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height in CSS pixels, by the resolution that the PNG states."""
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    at = png.find(b"pHYs") + 4
    per_metre = int.from_bytes(png[at : at + 4], "big") if at > 3 else 0
    scale = 96 / (per_metre * 0.0254) if per_metre else 1.0
    return round(width * scale), round(height * scale)


def describe(soup: BeautifulSoup, title: str, book: str) -> str:
    """Return the page's first sentences, up to a formula, or a sentence about it."""
    words = " ".join(" ".join(p.get_text() for p in soup.select("section > p")).split())
    text = ""
    for sentence in re.split(r"(?<=[.?!]) (?=\w)", words):
        longer = f"{text} {sentence}".strip()
        is_plain = "\\" not in sentence and sentence.endswith((".", "?", "!"))
        if not is_plain or len(longer) > LONGEST or len(text) > ENOUGH:
            break
        text = longer
    if len(text) < SHORTEST:
        return (
            f"{title}: a page of “{book}”, a book that computes every figure it shows."
        )
    return text


def tags(title: str, description: str, book: str, base: str, page: str) -> str:
    """Return a page's meta tags for search engines and link previews.

    ``base`` is where the book is published, if that is known: only then is there an
    address for the page and for the picture, as previews need whole ones.
    """
    properties = {"title": title, "type": "website", "site_name": book}
    properties |= {"description": description}
    if base:
        base = base.rstrip("/")
        properties |= {"url": f"{base}/{page}", "image": f"{base}/_static/{PREVIEW}"}
        properties |= {"image:width": "1200", "image:height": "630"}
        properties |= {"image:alt": "The machine: a controller, two heads, a memory."}
    card = "summary_large_image" if base else "summary"
    lines = [f'<meta name="description" content="{escape(description)}" />']
    lines.append(f'<meta name="twitter:card" content="{card}" />')
    for name, value in properties.items():
        lines.append(f'<meta property="og:{name}" content="{escape(value)}" />')
    return "\n".join(lines)


def on_page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Mend a page's body and describe the page, just before it is written."""
    soup = BeautifulSoup(context.get("body") or "", "html.parser")
    files = app.builder.images.items()
    mend(soup, {name: Path(app.srcdir, source) for source, name in files})
    if "body" in context:
        context["body"] = str(soup)
    book = str(app.config.html_title)
    name = context.get("title") or GENERATED.get(pagename, book)
    title = BeautifulSoup(name, "html.parser").get_text()
    own = [
        str(meta["content"])
        for meta in (doctree.findall(nodes.meta) if doctree else [])
        if meta.get("name") == "description"
    ]
    description = own[0] if own else describe(soup, title, book)
    base = str(app.config.html_baseurl)
    # The other tag in here, the viewport, is in the theme as well.
    # The first page is the book's.
    shared = book if pagename == app.config.root_doc else title
    page = app.builder.get_target_uri(pagename)
    context["metatags"] = tags(shared, description, book, base, page)
    if pagename == app.config.root_doc:
        write_entrance(app, context["metatags"])


def write_entrance(app: Sphinx, head: str) -> None:
    """Write the page that leads from the book's folder to its first page."""
    first = app.builder.get_target_uri(app.config.root_doc)
    book = escape(str(app.config.html_title))
    page = f"""<!DOCTYPE html>
<html lang="{app.config.language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta http-equiv="refresh" content="0; url={first}" />
    {head}
    <title>{book}</title>
    <link rel="icon" href="_static/{Path(app.config.html_favicon).name}" />
  </head>
  <body><h1><a href="{first}">{book}</a></h1></body>
</html>
"""
    (app.outdir / "index.html").write_text(page, encoding="utf-8")


_mocked = _MockModule.__getattr__


def stand_in(module: ModuleType, name: str) -> Any:
    """Return what stands for a name of a package that pages are built without.

    Autodoc's own are no classes: none can stand in ``Tensor | None``, or be one of
    several bases.
    """
    if name[0].isupper() or name in ("device", "dtype"):
        return type(name, (), {"__module__": module.__name__})
    if name == "nn":
        return _MockModule(f"{module.__name__}.{name}")
    return _mocked(module, name)


def on_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Make links of the names and of the chapter in a docstring."""
    text = re.sub(r"(?<!`)`([\w.]+)`(?!`)", r":py:obj:`.\1`", "\n".join(lines))
    titles = chapters(str(app.srcdir))
    lines[:] = re.sub(
        r"Chapter: \*(.+)\*\.",
        lambda found: f"Chapter: :doc:`{found[1]} </{titles[found[1]]}>`.",
        text,
    ).split("\n")


def on_member(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the fields of named tuples: their class has told of them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


@cache
def chapters(folder: str) -> dict[str, str]:
    """Return the page of each chapter by its title, as its notebook has it."""
    found = {}
    for path in sorted(Path(folder, "book").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        title = re.search(r"(?m)^# (.+)$", "".join(cells[0]["source"]))
        if title:
            found[title[1].strip()] = f"book/{path.stem}"
    return found


class Listing(LiteralInclude):
    """A listing of a function of the package, with a link to its place in the API."""

    def run(self) -> list[nodes.Node]:
        """Put the link behind the caption."""
        module = re.match(r"\.\./(ntm/[\w/]+)\.py$", self.arguments[0])
        name, caption = self.options.get("pyobject"), self.options.get("caption")
        if module and name and caption:
            public = re.sub(r"\._\w+$", "", name)
            target = f"{module[1].replace('/', '.')}.{public}"
            self.options["caption"] = f"{caption} · {{py:obj}}`API <{target}>`"
        return super().run()


class WidgetAndPicture(SphinxPostTransform):
    """Show a widget's picture as well as the widget: of one output only one is shown.

    A script then puts the widget in its place; paper and pages without scripts keep it.
    """

    default_priority = 3  # just before myst-nb makes its choice

    def run(self, **options: Any) -> None:
        """Move each widget to its picture."""
        for bundle in self.document.findall(nodes.container):
            if bundle.get("nb_element") == "mime_bundle":
                shown = {part.get("mime_type"): part for part in bundle.children}
                if WIDGET in shown and PICTURE in shown:
                    shown[PICTURE].extend(shown[WIDGET].children)
                    bundle.remove(shown[WIDGET])


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
    # Where the book will be published, if that is known: previews need full addresses.
    app.config.html_baseurl = os.environ.get("BOOK_URL", "")
    app.add_post_transform(WidgetAndPicture)
    sys.path.insert(0, str(app.srcdir))  # the package that the API page describes
    _MockModule.__getattr__ = stand_in
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("autodoc-skip-member", on_member)
    app.add_directive("literalinclude", Listing, override=True)
    app.connect("html-page-context", on_page)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
