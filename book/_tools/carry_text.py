"""The built pages as one text, for paper and for e-readers.

What is folded on a page stands at the end of its chapter, a live figure stands still,
and every place has a name of its own, so that links lead from chapter to chapter.
"""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

PLAIN = re.compile(r'<span class="(?:n|nn|p|w|pre)">([^<]*)</span>')
"""What is coloured as the text around it: nine of ten pieces of a listing."""


class CannotError(Exception):
    """Why there is no such text, or no file of it, in a line."""


@dataclass(frozen=True)
class Book:
    """The pages that are built in a folder, in the order of its `_toc.yml`."""

    root: Path
    url: str = ""
    """Where the pages are published, if that is known."""

    @property
    def pages(self) -> Path:
        """The folder of the built pages."""
        return self.root / "_build" / "html"

    @cached_property
    def parts(self) -> list[tuple[str, list[str]]]:
        """The caption and the pages of each part; the front page has one without."""
        toc = yaml.safe_load((self.root / "_toc.yml").read_text("utf-8"))
        parts = [("", [str(toc["root"])])]
        for part in toc.get("parts", ()):
            parts.append((part["caption"], [page["file"] for page in part["chapters"]]))
        return parts

    @cached_property
    def names(self) -> list[str]:
        """The pages: `book/memory` and so on."""
        return [name for _, names in self.parts for name in names]

    def text(self) -> list[Tag]:
        """Return the titles of the parts, each before its chapters."""
        text = []
        for caption, names in self.parts:
            if caption:
                text.append(new("h1", caption, id=f"part.{short(names[0])}"))
            text += [self.chapter(name, 2 if caption else 1) for name in names]
        return text

    def chapter(self, name: str, level: int = 2) -> Tag:
        """Return a page as a chapter: its title at this level, its sections at h3."""
        path = self.pages / f"{name}.html"
        if not path.is_file():
            raise CannotError(f"there is no page {name}: run `make book` first")
        page = BeautifulSoup(PLAIN.sub(r"\1", path.read_text("utf-8")), "html.parser")
        text = page.select_one("article section")
        if text is None:
            raise CannotError(f"the page {name} has no text: run `make book` again")
        for gone in text.find_all(class_=["headerlink", "toctree-wrapper"]):
            gone.decompose()
        for view in text.find_all("script"):
            self.stand_still(view, name)
        unfold(text)
        for element in text.find_all(True):
            if element.has_attr("id"):
                element["id"] = at(name, str(element["id"]))
            if element.name == "a" and element.has_attr("href"):
                element.attrs.pop("download", None)
                element["href"] = self.link(name, str(element["href"]))
                if not element["href"]:
                    del element["href"]
            if element.name == "img":
                element["src"] = (path.parent / str(element["src"])).resolve().as_uri()
            if heading := re.fullmatch("h([1-4])", element.name):
                deeper = int(heading[1])
                element.name = f"h{level if deeper == 1 else deeper + 1}"
        text.attrs = {"class": "chapter", "id": at(name)}
        return text

    def stand_still(self, view: Tag, name: str) -> None:
        """Say of a live figure's picture what it is, and where it moves."""
        output = view.find_parent(class_="cell_output")
        if output is None or output.select_one("img") is None:
            raise CannotError(
                f"{name}: a live figure has no picture; refresh the chapter"
            )
        said = new("p", "A live figure, which stands still here.", class_="still")
        if self.url:
            address = f"{self.url.rstrip('/')}/{name}.html"
            said.extend([" It moves at ", new("a", address, href=address), "."])
        view.replace_with(said)

    def link(self, name: str, address: str) -> str:
        """Return where a link of a page leads from the one text, or nothing."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return address
        path = f"{name}.html"
        if parts.path:
            path = os.path.normpath(os.path.join(os.path.dirname(name), parts.path))
        if (page := path.removesuffix(".html")) in self.names:
            return f"#{at(page, parts.fragment)}"
        # A file to download stays where the pages are.
        return f"{self.url.rstrip('/')}/{path}" if self.url else ""


def new(tag: str, *inside: Tag | str, **attributes: str) -> Tag:
    """Return a new element; ``class_`` is its class."""
    named = {name.rstrip("_"): value for name, value in attributes.items()}
    made = BeautifulSoup("", "html.parser").new_tag(tag, attrs=named)
    made.extend(inside)
    return made


def short(name: str) -> str:
    """Return a page's name without its folder."""
    return name.rpartition("/")[2]


def at(name: str, place: str = "") -> str:
    """Return the name of a page's place in the one text, or of the page itself."""
    return ".".join(filter(None, [short(name), place.replace("/", ".")]))


def unfold(text: Tag) -> None:
    """Move what a page folds to its end: answers first, then the figures' code."""
    for part in text.find_all("details", class_="folded"):  # of a listing: it is whole
        assert part.summary is not None
        part.summary.decompose()
        part.unwrap()
    for parts in text.find_all(class_="parts"):
        first, *others = parts.find_all("pre")
        for other in others:
            first.extend(list(other.contents))
        parts.replace_with(first)
    answers: list[Tag] = []
    code: list[Tag] = []
    for box in text.find_all("details"):
        assert box.summary is not None
        title = box.summary.extract().get_text(" ", strip=True)
        box.name = "div"
        if "hide" in box["class"]:
            code.append(move(box, "Code", f"code-{len(code)}", whereabouts(box)))
        elif title.startswith("Solution to "):
            label = title.removeprefix("Solution to ")
            answers.append(move(box, "Solution", f"answer-{len(answers)}", label))
        elif title.startswith("Answer"):
            label = whereabouts(box)
            answers.append(move(box, title, f"answer-{len(answers)}", label))
        else:
            box["class"] = "box"
            box.insert(0, new("p", title, class_="title"))
    for title, moved in (
        ("Answers and solutions", answers),
        ("The code of figures and tables", code),
    ):
        if moved:
            text.append(new("section", new("h2", title), *moved, class_="end"))


def whereabouts(box: Tag) -> str:
    """Return the number of a box's figure, else the exercise or the heading above."""
    cell = box.find_parent(class_="cell")
    number = cell.select_one("figcaption .caption-number") if cell else None
    above = number or box.find_previous(is_title)
    return " ".join(above.get_text().split()) if above else ""


def is_title(tag: Tag) -> bool:
    """Return whether an element is a heading, or the title of an exercise."""
    is_of_exercise = tag.name == "p" and tag.find_parent(class_="exercise")
    is_first = "admonition-title" in tag.get_attribute_list("class")
    return bool(re.fullmatch("h[1-4]", tag.name) or (is_of_exercise and is_first))


def move(box: Tag, word: str, name: str, label: str) -> Tag:
    """Put a link in a box's place, and return the box with a link back."""
    here, there = str(box.get("id") or f"{name}-here"), f"{name}-there"
    link = new("a", word, class_="page-of", href=f"#{there}", id=here)
    pointer = new("p", link, class_="pointer")
    cell = box.find_parent(class_="cell")
    box.replace_with(pointer)
    if cell is not None:  # what the code gives comes first
        cell.append(pointer)
    box.attrs = {"class": "box", "id": there}
    box.insert(0, new("p", new("a", label, class_="page-of", href=f"#{here}")))
    box.contents[0]["class"] = "title"
    return box
