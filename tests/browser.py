"""The built book in a real Chromium: one visit a page and theme, with the network cut.

A visit notes what the page asked for and complained about; the tests look at the page
itself. No test decides here what is right. One window shows page after page: to open a
new one takes as long as to load a page.
"""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pages import BOOK
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
)

THEMES = ("light", "dark")
DESKTOP = {"width": 1280, "height": 900}  # a small laptop
PHONE = {"width": 390, "height": 844}
LOCAL = ("file:", "data:", "blob:")

READY = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
"""Resolves when formulas and fonts stand and a change of the window has had its effect."""


def chromium(playwright: Playwright) -> Browser:
    """Start the Chromium that is named, installed, or playwright's own, in this order."""
    names = (
        os.environ.get("CHROMIUM"),
        "chromium",
        "chromium-browser",
        "google-chrome",
    )
    found = [shutil.which(name) for name in names if name]
    found.append(playwright.chromium.executable_path)
    for path in filter(None, found):
        if Path(path).is_file():
            return playwright.chromium.launch(executable_path=path)
    pytest.fail(
        "no Chromium: install one, name it in CHROMIUM, or run `playwright install chromium`",
        pytrace=False,
    )


class Visit:
    """A window in one theme, and what its page asked for and complained about so far."""

    def __init__(
        self, browser: Browser, theme: str = "light", has_scripts: bool = True
    ) -> None:
        self.name, self.theme, self.has_scripts = "", theme, has_scripts
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.failures: list[str] = []
        self.context = browser.new_context(
            viewport=DESKTOP,
            device_scale_factor=2,  # fine lines of a figure fall on whole pixels
            offline=True,
            reduced_motion="reduce",
            java_script_enabled=has_scripts,
        )
        # No page finds what another has left.
        self.context.add_init_script(
            f"""localStorage.clear();
            sessionStorage.clear();
            localStorage.mode = localStorage.theme = {theme!r};"""
        )
        self.page: Page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on(
            "pageerror", lambda error: self.complaints.append(f"error: {error}")
        )
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._note)

    def __str__(self) -> str:
        return f"{self.name} ({self.theme})"

    def _note(self, request: Request) -> None:
        # What is under way when a test leaves the page is given up, and not missing.
        if "ERR_ABORTED" not in str(request.failure):
            self.failures.append(f"{request.url}: {request.failure}")

    def go(self, name: str) -> None:
        """Open a page of the book as if it were the first, and wait for its formulas."""
        for noted in (self.complaints, self.requests, self.failures):
            noted.clear()
        self.name = name
        self.page.mouse.move(-1, -1)
        self.page.set_viewport_size(DESKTOP)
        self.page.emulate_media(media="screen")
        self.page.goto(f"{BOOK.as_uri()}/{name}")
        if self.has_scripts:
            self.page.evaluate(READY)

    @contextmanager
    def on_a_phone(self) -> Iterator[Page]:
        """Look at the page through a phone for a while."""
        self.page.set_viewport_size(PHONE)
        self.page.evaluate(READY)
        try:
            yield self.page
        finally:
            self.page.set_viewport_size(DESKTOP)

    def open_dropdowns(self) -> None:
        """Open every dropdown, so that what it hides is looked at, too."""
        self.page.evaluate(
            "document.querySelectorAll('details').forEach(box => box.open = true)"
        )

    def picture(self, element: Locator) -> Image.Image:
        """Return what is seen of an element, two pixels for each of the page's."""
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        whole = {"x": int(box["x"]), "y": int(box["y"])}
        whole |= {"width": int(box["width"]) + 2, "height": int(box["height"]) + 2}
        # Whatever hovers over the page is not part of the element.
        style = ".bd-header-article, #pst-back-to-top { visibility: hidden }"
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=whole, style=style)))
        left, top = (round(2 * (box[side] - whole[side])) for side in ("x", "y"))
        width, height = round(2 * box["width"]), round(2 * box["height"])
        return shot.crop((left, top, left + width, top + height))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")
