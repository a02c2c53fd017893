"""Version, citation and launch buttons: what the pages say of the book as a whole."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from pages import PAGES, ROOT, parse, require_book

sys.path.append(str(ROOT / "book" / "_tools"))
import book_about
import launch

SOME = ROOT / "book" / "memory.ipynb"
URL = "https://github.com/someone/some-book"


def test_every_page_says_which_version_it_is_and_how_to_cite_it():
    require_book()
    book = book_about.citation(ROOT)
    for page in PAGES:
        foot = parse(page).select_one(".extra_footer")
        assert f"Version {book['version']}, {book['date-released']}" in foot.get_text()
        last = str(foot.select("a")[-1]["href"])
        assert last.endswith("about.html") or (page, last) == ("book/about.html", "#")


def test_the_bibtex_is_of_the_book_and_of_the_paper():
    require_book()
    book = book_about.citation(ROOT)
    shown = parse("book/about.html").select_one("pre").get_text()
    for words in (
        f"title = {{{{{book['title']}}}}}",
        f"version = {{{book['version']}}}",
        "Graves, Alex and Wayne, Greg and Danihelka, Ivo",
        "eprint = {1410.5401}",
    ):
        assert words in shown
    assert shown.count("@") == 2
    assert shown.count("{") == shown.count("}")


def build(folder: Path, url: str) -> BeautifulSoup:
    """Return a chapter of a book that is made as ours, whose repository has an address."""
    (folder / "book").mkdir()
    for name in ("_static", "_tools", "references.bib"):
        (folder / "book" / name).symlink_to(ROOT / "book" / name)
    for name in ("ntm", "CITATION.cff"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(SOME, folder / "book" / "about.ipynb")
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    config["repository"]["url"] = url
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/about\n")
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["jupyter-book", "build", folder], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = folder / "_build" / "html" / "book" / "about.html"
    return BeautifulSoup(page.read_text("utf-8"), "html.parser")


def test_with_an_address_a_chapter_can_be_launched_and_errors_reported(tmp_path):
    addresses = [str(a["href"]) for a in build(tmp_path, URL).select("a[href]")]
    for start in (
        "https://mybinder.org/v2/gh/someone/some-book/launch?urlpath=lab/tree/book/about",
        "https://colab.research.google.com/github/someone/some-book/blob/launch/book/about",
        f"{URL}/issues/new?title=Error",
    ):
        assert any(address.startswith(start) for address in addresses), start


def test_without_an_address_there_is_nothing_to_launch():
    require_book()
    text = " ".join(str(a["href"]) for p in PAGES for a in parse(p).select("a[href]"))
    if not yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"][
        "url"
    ]:
        for host in ("mybinder", "colab.research", "issues/new"):
            assert host not in text


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_first_cell_of_a_launched_notebook_installs_what_is_missing(is_installed):
    stored = json.loads(SOME.read_text("utf-8"))
    changed = launch.launchable(stored, URL)
    nbformat.validate(changed)
    assert changed["cells"][1:] == stored["cells"]
    code = TransformerManager().transform_cell("".join(changed["cells"][0]["source"]))
    done: list[str] = []

    class Shell:
        def system(self, line):
            done.append(line)

        def run_line_magic(self, name, line):
            done.append(f"{name} {line}")

    missing = code.replace('"ntm"', '"no_such_package"')
    exec(
        compile(ast.parse(code if is_installed else missing), "cell", "exec"),
        {"get_ipython": Shell},
    )
    if is_installed:
        assert not done
    else:
        clone, folder, install = done
        assert URL in clone
        assert clone.split()[-1] == folder.split()[-1].removesuffix("/book")
        assert install.startswith("pip install")
        assert "..[notebooks]" in install


def test_a_container_is_set_up_as_make_lab_is():
    container = json.loads(
        (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    )
    command, goal = container["postCreateCommand"].split()
    assert (ROOT / command).is_file()
    assert f"{goal}) wants" in (ROOT / command).read_text("utf-8")
    lab = (ROOT / "Makefile").read_text("utf-8").partition("\nlab:")[2]
    assert container["postCreateCommand"] in lab.partition("\n\n")[0]


def test_binder_gets_the_version_of_torch_that_the_book_was_made_with():
    wanted = (ROOT / ".binder" / "requirements.txt").read_text("utf-8")
    exact = (ROOT / "constraints.txt").read_text("utf-8")
    torch = next(line for line in exact.splitlines() if line.startswith("torch=="))
    assert f"{torch}+cpu" in wanted.splitlines()
    assert ".[notebooks]" in wanted.splitlines()
