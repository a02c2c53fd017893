"""What the pages say of the book as a whole: version, how to cite it, where to run it.

The version is the package's, the day and what is cited are those of `CITATION.cff`, and
all that needs the repository's address appears when `_config.yml` has one.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

ABOUT = "book/about"


def citation(root: Path) -> dict[str, Any]:
    """Return what `CITATION.cff` says."""
    said: dict[str, Any] = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    return said


def bibtex(work: dict[str, Any]) -> str:
    """Return the BibTeX entry of a work as `CITATION.cff` describes it."""
    people = [
        f"{person['family-names']}, {person['given-names']}"
        if "family-names" in person
        else f"{{{person['name']}}}"
        for person in work["authors"]
    ]
    year = str(work.get("year") or work["date-released"])[:4]
    first = re.sub(r"\W", "", people[0].split(",")[0].split()[-1]).lower()
    word = next(
        word for word in re.findall(r"\w+", work["title"].lower()) if len(word) > 3
    )
    fields = {"title": f"{{{work['title']}}}", "author": " and ".join(people)}
    fields |= {"year": year}
    for name in ("version", "url"):
        if name in work:
            fields[name] = str(work[name])
    for identifier in work.get("identifiers", ()):
        kind, _, value = str(identifier["value"]).partition(":")
        fields |= {"eprint": value, "eprinttype": kind}
    kind = "article" if work["type"] == "article" else "book"
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{first}{year}{word},\n{lines}\n}}"


class CiteThis(SphinxDirective):
    """The BibTeX of the book, and of the paper that it takes apart."""

    def run(self) -> list[nodes.Node]:
        """Return a listing to copy."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "CITATION.cff"))
        book = citation(root)
        address = self.config.html_baseurl or repository(self.config)
        entries = [book | ({"url": address} if address else {}), *book["references"]]
        text = "\n\n".join(map(bibtex, entries))
        return [nodes.literal_block(text, text, language="bibtex")]


def repository(config: Config) -> str:
    """Return the repository's address, or nothing."""
    return str(config.html_theme_options.get("repository_url") or "").rstrip("/")


def on_config(app: Sphinx, config: Config) -> None:
    """Take away the buttons that lead to a repository where no address is known."""
    if not repository(config):
        config.html_theme_options.pop("launch_buttons", None)


def on_page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the version at the foot of a page, and where to report an error on it."""
    book = citation(Path(app.srcdir))
    about = context["pathto"](ABOUT)
    version = f"Version {book['version']}, {book['date-released']}"
    links = [f'<a href="{about}">{version}: how to cite it, and what is new</a>.']
    if address := repository(app.config):
        title = urlencode({"title": f"Error on the page {pagename}"})
        links.append(f'<a href="{address}/issues/new?{title}">Report an error</a>.')
    context["theme_extra_footer"] = " ".join([context["theme_extra_footer"], *links])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("cite-this", CiteThis)
    app.connect("config-inited", on_config)
    app.connect("html-page-context", on_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
