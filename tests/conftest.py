"""What all tests share: one thread, one seed, and hypothesis without a stopwatch."""

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import torch
from groups import pytest_xdist_make_scheduler  # noqa: F401 a hook

# The machine decides how long an example takes, not the code; a deadline would test the machine.
hypothesis.settings.register_profile("ntm", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ntm")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much `test_fuzz` does."""
    parser.addoption("--fuzz", type=int, default=200, help="damaged files")
    parser.addoption("--kills", type=int, default=4, help="kills of a run")


@pytest.fixture(autouse=True)
def _reproducible() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions that are compiled: to themselves, which takes no time."""
    from ntm.fast import inductor

    names: list[str] = []

    def compile_for(function: Any, tensors: Any) -> Any:
        names.append(function.__name__)
        return function

    monkeypatch.setattr(inductor, "compile_for", compile_for)
    return names


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all pages; only those tests that ask for it need one."""
    from browser import chromium
    from pages import require_book
    from playwright.sync_api import sync_playwright

    require_book()
    with sync_playwright() as playwright:
        running = chromium(playwright)
        yield running
        running.close()


@pytest.fixture(scope="session")
def window(browser: Any) -> Callable[..., Any]:
    """Return ``show(page, theme)``: the window of that theme, with that page in it.

    It loads a page only if the one before was another.
    """
    from browser import Visit

    windows: dict[tuple[str, bool], Visit] = {}

    def show(page: str, theme: str, has_scripts: bool = True) -> Visit:
        if (theme, has_scripts) not in windows:
            windows[theme, has_scripts] = Visit(browser, theme, has_scripts)
        visit = windows[theme, has_scripts]
        if visit.name != page:
            visit.go(page)
        return visit

    return show


COVERING = {
    f"test_{name}" for name in ("memory", "addressing", "contract", "heads", "tasks")
}
"""The files whose tests have to reach every line of the mechanics, alone.

To watch the lines of all others, too, takes a third longer.
"""


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Watch the lines of the package only where that decides."""
    covers = config.pluginmanager.has_plugin("_cov")
    for item in items:
        if covers and item.path.stem not in COVERING:
            item.add_marker("no_cover")
