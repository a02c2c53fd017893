"""Draws the machine where no page shows it: in the README, and beside a link."""

import hashlib
import io
import shutil
from pathlib import Path

import yaml
from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, sync_playwright

from ntm.book.drawing import Drawing

BOOK = Path(__file__).parent.parent
STATIC = BOOK / "_static"
TITLE = yaml.safe_load((BOOK.parent / "_config.yml").read_text("utf-8"))["title"]

INKS = {"drawing.svg": "#1f2328", "drawing_dark.svg": "#d1d7e0"}
"""The README's drawing, for a light and for a dark ground."""

WIDTH, HEIGHT = 1200, 630
"""Pixels of the picture beside a link, as those ask who show it."""

PAGE = f"""<!DOCTYPE html>
<meta charset="utf-8" />
<style>
  body {{ align-items: center; background: white; display: flex; height: {HEIGHT}px;
    margin: 0; width: {WIDTH}px; }}
  div {{ color: #14304f; font: 30px/1.4 sans-serif; margin: 0 20px 0 70px;
    width: 470px; }}
  h1 {{ font-size: 58px; line-height: 1.15; margin: 0 0 36px; }}
  svg {{ height: 540px; width: 600px; }}
</style>
<div><h1>{TITLE}</h1>A book that runs</div>
{Drawing().svg("#14304f")}"""
"""What the picture beside a link shows."""


def preview(browser: Browser) -> Image.Image:
    """Return the picture beside a link, as a browser paints it."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.set_content(PAGE)
    shot = page.screenshot()
    page.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def drawn_from() -> str:
    """Return what tells one page from another: the picture carries it along."""
    return hashlib.sha256(PAGE.encode()).hexdigest()


def main() -> None:
    """Write the pictures into `_static`."""
    for name, ink in INKS.items():
        (STATIC / name).write_text(Drawing().svg(ink), encoding="utf-8")
    with sync_playwright() as playwright:
        installed = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=installed)
        source = PngImagePlugin.PngInfo()
        source.add_text("Source", drawn_from())
        few = preview(browser).quantize(64)
        few.save(STATIC / "preview.png", optimize=True, pnginfo=source)
        browser.close()


if __name__ == "__main__":
    main()
