"""Draws the machine outside the pages: in the README, beside a link, on the cover."""

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

PREVIEW, COVER = STATIC / "preview.png", BOOK / "_tools" / "carry" / "cover.png"
SIZES = {PREVIEW: (1200, 630), COVER: (1200, 1600)}
"""Pixels of the picture beside a link and of the cover, as those ask who show it."""

STYLES = {
    PREVIEW: """
  body { align-items: center; background: white; display: flex; height: 630px;
    margin: 0; width: 1200px; }
  div { color: #14304f; font: 30px/1.4 sans-serif; margin: 0 20px 0 70px;
    width: 470px; }
  h1 { font-size: 58px; line-height: 1.15; margin: 0 0 36px; }
  svg { height: 540px; width: 600px; }
""",
    COVER: """
  body { background: white; border-top: 60px solid #14304f; margin: 0; }
  div { color: #14304f; font: 52px/1.4 sans-serif; margin: 100px 110px 60px; }
  h1 { font-size: 88px; line-height: 1.15; margin: 0 0 50px; }
  svg { display: block; height: 920px; margin: auto; max-width: none !important;
    width: 1020px; }
""",
}


def page(picture: Path) -> str:
    """Return the page that a picture shows."""
    return f"""<!DOCTYPE html>
<meta charset="utf-8" />
<style>{STYLES[picture]}</style>
<div><h1>{TITLE}</h1>A book that runs</div>
{Drawing().svg("#14304f")}"""


def painted(browser: Browser, picture: Path) -> Image.Image:
    """Return a picture as a browser paints it."""
    width, height = SIZES[picture]
    window = browser.new_page(viewport={"width": width, "height": height})
    window.set_content(page(picture))
    shot = window.screenshot()
    window.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def drawn_from(picture: Path) -> str:
    """Return what tells one page from another: the picture carries it along."""
    return hashlib.sha256(page(picture).encode()).hexdigest()


def main() -> None:
    """Write the pictures to where they are used."""
    for name, ink in INKS.items():
        (STATIC / name).write_text(Drawing().svg(ink), encoding="utf-8")
    with sync_playwright() as playwright:
        installed = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=installed)
        for picture in SIZES:
            source = PngImagePlugin.PngInfo()
            source.add_text("Source", drawn_from(picture))
            few = painted(browser, picture).quantize(64)
            few.save(picture, optimize=True, pnginfo=source)
        browser.close()


if __name__ == "__main__":
    main()
