"""What every page of the built book promises to a reader who looks at it.

Each page is opened once in each theme, from disk and with the network cut; the tests
below share that visit, and leave the page as they found it.
"""

import re
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from browser import LOCAL, THEMES, Visit
from pages import BOOK, CHAPTERS, ENTRANCE, PAGES, parse
from PIL import Image, ImageFilter
from playwright.sync_api import Page

# All that axe need tell about, as it is slow; without the style sheets, which no rule of
# those that are asked reads, and which a page from disk may not give to a script.
VIOLATIONS = {"resultTypes": ["violations"], "preload": False}
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}  # all that is dark only
CONTRAST = 4.5  # of text on its ground, WCAG level AA
SMALLEST_TEXT = 9  # CSS pixels
FIGURE_TEXT = (
    11 / 72 * 96
)  # CSS pixels: ntm.book.figures letters its figures in 11 points


@pytest.fixture(
    scope="module",
    params=[(page, theme) for page in PAGES for theme in THEMES],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def visit(request, window) -> Visit:
    return window(*request.param)


@pytest.fixture(
    scope="module",
    params=[(page, "light") for page in PAGES],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def layout(request, window) -> Visit:
    """Return a visit for what no theme changes: where things stand, and what keys do."""
    return window(*request.param)


@pytest.fixture(
    scope="module",
    params=[(page, "dark") for page in PAGES],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def dark(request, window) -> Visit:
    """Return a visit for what is drawn once, in the colours of a light page."""
    return window(*request.param)


@pytest.fixture(
    scope="module",
    params=[(page, "without scripts") for page in PAGES],
    ids=PAGES,
)
def still(request, window) -> Visit:
    return window(*request.param, has_scripts=False)


def test_a_page_asks_for_nothing_but_its_own_files(visit):
    elsewhere = [url for url in visit.requests if not url.startswith(LOCAL)]
    assert not elsewhere, f"{visit} asks another host: {elsewhere}"
    assert not visit.failures, f"{visit} asks for what is not there: {visit.failures}"


def test_a_page_has_nothing_to_complain_about(visit):
    assert not visit.complaints, f"{visit}: {visit.complaints}"


def test_a_first_visit_has_nothing_to_complain_about(browser):
    visit = Visit(browser)
    # What the other visits bring along: a theme that was chosen before.
    visit.context.add_init_script("localStorage.clear()")
    visit.go("book/preface.html")
    assert not visit.complaints, f"{visit}: {visit.complaints}"
    visit.context.close()


def test_every_formula_is_drawn(layout):
    undrawn, broken, raw = layout.page.evaluate(
        r"""() => {
          const texts = (elements) => [...elements].map((element) => element.textContent.trim().slice(0, 80));
          const raw = [];
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const { data, parentElement } = walker.currentNode;
            if (!parentElement.closest("pre, code, script, style, mjx-container") && /\\[()[\]]|\\begin|\$\$/.test(data))
              raw.push(data.trim().slice(0, 80));
          }
          const formulas = [...document.querySelectorAll(".math")];
          return [
            texts(formulas.filter((formula) => !formula.querySelector("mjx-container"))),
            // A command that it does not know, MathJax writes out in red.
            texts(document.querySelectorAll("mjx-merror, [data-mjx-error], mjx-container [mathcolor=red]")),
            raw,
          ];
        }"""
    )
    assert not undrawn, f"{layout}: formulas that are not drawn: {undrawn}"
    assert not broken, f"{layout}: formulas with an error: {broken}"
    assert not raw, f"{layout}: TeX in the text: {raw}"


# Code may scroll on a phone; what it gives, formulas and tables do not scroll anywhere.
CUT = """() => {
  const boxes = [...document.querySelectorAll(
    "article :is(div.math mjx-container, .pst-scrollable-table-container, .cell_output pre)")];
  const within = [...document.querySelectorAll("article :is(p, li, td, dd) mjx-container:not(div.math *)")];
  const beyond = (formula) => formula.getBoundingClientRect().right
    - formula.closest("p, li, td, dd").getBoundingClientRect().right;
  return [
    ...boxes.map((box) => [box, box.scrollWidth - box.clientWidth]),
    ...within.map((formula) => [formula, beyond(formula)]),
  ].filter(([, pixels]) => pixels > 1).map(([box, pixels]) =>
    `${Math.ceil(pixels)} pixels of ${box.parentElement.id || box.parentElement.innerText.trim().slice(0, 60)}`);
}"""


def test_nothing_is_cut_on_a_screen_or_a_phone(layout):
    layout.open_dropdowns()
    cut = {"a screen": layout.page.evaluate(CUT)}
    with layout.on_a_phone() as page:
        cut["a phone"] = page.evaluate(CUT)
    for place, what in cut.items():
        assert not what, f"{layout}: cut on {place}: {what}"


def test_every_picture_says_what_it_shows(layout):
    pictures = layout.page.evaluate(
        """() => [...document.querySelectorAll("main img, main svg, main canvas")]
          .filter((picture) => !picture.closest("mjx-container, button, [aria-hidden=true]"))
          .map((picture) => [
            picture.getAttribute("src") ?? picture.outerHTML.slice(0, 80),
            picture.getAttribute("alt") ?? picture.getAttribute("aria-label")
              ?? document.getElementById(picture.getAttribute("aria-labelledby"))?.textContent
              ?? picture.querySelector("title")?.textContent ?? "",
          ])"""
    )
    file_name = re.compile(r"[/\\]|\.(png|jpe?g|svg|gif|webp)\b", re.I)
    silent = [
        f"{source}: {text!r}"
        for source, text in pictures
        if len(text.strip()) < 30 or file_name.search(text)
    ]
    assert not silent, f"{layout}: pictures that do not say what they show: {silent}"


VALUES = np.arange(256) / 255
LINEAR = np.where(VALUES <= 0.04045, VALUES / 12.92, ((VALUES + 0.055) / 1.055) ** 2.4)


def luminance(image: Image.Image) -> np.ndarray:
    """Return the relative luminance of each pixel, as WCAG defines it."""
    return LINEAR[np.asarray(image.convert("RGB"))] @ [0.2126, 0.7152, 0.0722]


def contrast(one: np.ndarray, other: float) -> np.ndarray:
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def test_the_ink_of_every_figure_stands_out_from_the_page(dark):
    """On a dark page; on a light one the files are seen as they are."""
    visit = dark
    visit.open_dropdowns()
    # Where a figure lives, its still picture is for paper.
    for figure in visit.page.locator("main article img:not(.is-live img)").all():
        source = figure.get_attribute("src")
        seen = luminance(visit.picture(figure))
        file = Image.open((BOOK / visit.name).parent / source).convert("RGBA")
        on_white = Image.new("RGBA", file.size, "white")
        on_white.alpha_composite(file)
        drawn = contrast(luminance(on_white.resize(seen.shape[::-1])), 1.0)
        ink, ground = drawn >= 7, drawn <= 1.05
        assert ink.sum() > 50, f"{visit}: {source} has no ink that reads on white"
        assert ground.sum() > 50, f"{visit}: {source} has no empty ground"
        readable = contrast(seen, float(np.median(seen[ground]))) >= CONTRAST
        # Two programs shrink the picture, each its own way: the next pixel counts, too.
        near = Image.fromarray(readable).convert("L").filter(ImageFilter.MaxFilter(3))
        share = (np.asarray(near)[ink] > 0).mean()
        assert share > 0.95, (
            f"{visit}: only {share:.0%} of the ink of {source} can be read"
        )


def test_one_search_one_heading_and_no_empty_bar(layout):
    count = """() => {
      const isSeen = (element) => element.checkVisibility() && element.getBoundingClientRect().height > 0;
      const seen = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
      return [
        seen("input[type=search], .search-button__button").length,
        seen("h1").map((heading) => heading.textContent),
        seen("header, nav, .navbar, .bd-header, .bd-header__inner").filter((bar) =>
          !bar.innerText.trim() && !bar.querySelector("a, button, input, img")).map((bar) => bar.outerHTML.slice(0, 80)),
      ];
    }"""
    on_a_screen = layout.page.evaluate(count)
    with layout.on_a_phone() as page:
        on_a_phone = page.evaluate(count)
    for place, (searches, headings, empty) in (
        ("screen", on_a_screen),
        ("phone", on_a_phone),
    ):
        assert searches == 1, f"{layout}: {searches} search boxes on a {place}"
        assert len(headings) == 1, f"{layout}: first headings on a {place}: {headings}"
        assert not empty, f"{layout}: empty bars on a {place}: {empty}"


def test_a_page_fits_a_phone(layout):
    layout.open_dropdowns()
    with layout.on_a_phone() as page:
        width, window, sticking_out, figures = page.evaluate(
            """() => {
              const window_ = document.documentElement.clientWidth;
              // Not what a box scrolls, clips or keeps off the screen until it is called for.
              const isKept = (element) => {
                for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
                  const { overflowX, position } = getComputedStyle(box);
                  const { left, right } = box.getBoundingClientRect();
                  if (overflowX !== "visible" && left >= 0 && right <= window_) return true;
                }
                return false;
              };
              const sticking = [...document.querySelectorAll("main *")].filter((element) =>
                element.checkVisibility() && element.getBoundingClientRect().width > 0 &&
                element.getBoundingClientRect().right > window_ + 0.5 && !isKept(element) &&
                !element.closest("dialog, .bd-sidebar-secondary, mjx-container"));
              return [
                document.documentElement.scrollWidth, window_,
                sticking.map((element) => element.outerHTML.slice(0, 100)),
                [...document.querySelectorAll("main article img:not(.is-live img)")].map((image) =>
                  [image.getAttribute("src"), image.getBoundingClientRect().width, image.getAttribute("width"),
                   image.getBoundingClientRect().height * image.naturalWidth / image.naturalHeight]),
              ];
            }"""
        )
    assert width <= 390, (
        f"{layout} is {width} pixels wide on a phone: {sticking_out[:3]}"
    )
    assert not sticking_out, f"{layout}: wider than a phone: {sticking_out[:3]}"
    for source, shown, natural, true in figures:
        assert natural, f"{layout}: {source} does not say how wide it is"
        assert shown <= window, (
            f"{layout}: {source} is {shown:.0f} pixels wide on a phone"
        )
        assert abs(shown - true) < 3, f"{layout}: {source} is squeezed on a phone"
        text = FIGURE_TEXT * shown / float(natural)
        assert text >= SMALLEST_TEXT, (
            f"{layout}: {source} has {text:.1f}-pixel text on a phone"
        )


def test_88_columns_of_code_fit_the_column(layout):
    # A comment of 88 characters in place of what the first listing on the page shows.
    needed = layout.page.evaluate(
        """() => {
          const listing = [...document.querySelectorAll("article pre")].find((pre) => !pre.closest(".admonition"));
          if (!listing) return null;
          const shown = listing.innerHTML;
          listing.textContent = "#".repeat(88);
          const width = listing.scrollWidth - listing.clientWidth;
          listing.innerHTML = shown;
          return width;
        }"""
    )
    assert not needed, f"{layout}: 88 columns of code are {needed} pixels too wide"


def test_the_first_stop_of_the_keyboard_skips_to_the_text(visit):
    page = visit.page
    page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
    page.keyboard.press("Tab")
    stop = page.evaluate(
        "() => [document.activeElement.innerText, document.activeElement.hash]"
    )
    assert stop[1] == "#main-content", f"{visit}: the first stop is {stop}"
    assert page.locator(stop[1]).count() == 1, f"{visit}: {stop} leads nowhere"


def test_what_the_keyboard_reaches_is_seen(visit):
    visit.open_dropdowns()
    page = visit.page
    page.keyboard.press("Tab")  # from here on the browser shows the focus
    unseen = page.evaluate(
        """() => {
          const reachable = 'a[href], button, input, select, summary, [tabindex="0"]';
          const unseen = [];
          document.activeElement.blur();
          for (const stop of document.querySelectorAll(reachable)) {
            if (!stop.checkVisibility({ visibilityProperty: true }) || stop.disabled || stop.closest("dialog")) continue;
            const look = () => {
              // The sign may stand on the stop, before it, or on the box it fills.
              return [[stop, null], [stop, "::before"], [stop, "::after"], [stop.parentElement, null], [stop.parentElement, "::before"]]
                .map(([element, part]) => {
                  const style = getComputedStyle(element, part);
                  return [style.outlineStyle === "none" ? "" : style.outline, style.boxShadow, style.borderColor].join();
                }).join();
            };
            const before = look();
            stop.focus({ focusVisible: true, preventScroll: true });
            // A slider without a face lies over its bar, whose box then has the outline.
            const box = stop.parentElement;
            const isSolid = (element) => element.checkVisibility({ opacityProperty: true });
            const isSeen = look() !== before && (isSolid(stop) || (isSolid(box) && getComputedStyle(box).outlineStyle !== "none"));
            if (document.activeElement === stop && !isSeen) unseen.push(stop.outerHTML.slice(0, 100));
            stop.blur();
          }
          return unseen;
        }"""
    )
    assert not unseen, f"{visit}: the focus cannot be seen on {unseen}"


def test_dropdowns_open_by_keyboard(layout):
    # All closed first: one that lies in another cannot be reached once that closes.
    boxes = layout.page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("article details")];
          for (const box of all) box.open = false;
          return all.length;
        }"""
    )
    stuck = []
    for number in range(boxes):
        # Those around it are open, or nobody would find it.
        layout.page.evaluate(
            """(number) => {
              const box = document.querySelectorAll("article details")[number];
              for (let outer = box.parentElement; outer; outer = outer.parentElement)
                if (outer.matches("details")) outer.open = true;
              box.querySelector("summary").focus({ preventScroll: true });
            }""",
            number,
        )
        layout.page.keyboard.press("Enter")
        is_open, said = layout.page.evaluate(
            """(number) => {
              const box = document.querySelectorAll("article details")[number];
              return [box.open, box.querySelector("summary").innerText];
            }""",
            number,
        )
        if not is_open:
            stuck.append(said)
    assert not stuck, f"{layout}: Enter does nothing on {stuck}"
    others = layout.page.locator("article .dropdown:not(details)")
    assert others.count() == 0, f"{layout}: a dropdown that is not the browser's own"


def turn_to(page: Page, media: str, theme: str) -> str:
    """Show a page on paper or a screen; wait for a theme and return the one that came."""
    page.emulate_media(media=media)
    return page.evaluate(
        """async (theme) => {
          const { dataset } = document.documentElement;
          for (let frame = 0; frame < 60 && dataset.theme !== theme; frame++)
            await new Promise(requestAnimationFrame);
          return dataset.theme;
        }""",
        theme,
    )


def test_on_paper_everything_is_open_and_dark_on_light(dark):
    page = dark.page
    page.evaluate(
        "document.querySelectorAll('details').forEach(box => box.open = false)"
    )
    turn_to(page, "print", "light")
    ground, closed, headings = page.evaluate(
        """() => [
          getComputedStyle(document.body).backgroundColor,
          [...document.querySelectorAll("article details")].filter((box) =>
            [...box.children].slice(1).some((child) => !child.checkVisibility() || child.getBoundingClientRect().height === 0))
            .map((box) => box.querySelector("summary").innerText),
          [...document.querySelectorAll("h1")].filter((heading) => heading.checkVisibility()).length,
        ]"""
    )
    theme = turn_to(page, "screen", dark.theme)
    assert not closed, f"{dark}: closed on paper: {closed}"
    assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"), (
        f"{dark}: paper is {ground}"
    )
    assert headings == 1, f"{dark}: {headings} first headings on paper"
    assert theme == dark.theme, f"{dark}: after printing the theme is {theme}"


# Contrast is two thirds of what axe does, element by element, and most of a page's text
# looks like other text on it: the tokens of its listings, its links. What decides is the
# look of an element and of all that it lies in; of each such look, axe measures the two
# longest texts that are seen (of a single letter it is never sure).
ONE_OF_EACH_LOOK = """() => {
  const numbers = new Map();
  const number = (look) => numbers.get(look) ?? numbers.set(look, numbers.size).get(look);
  const looks = new Map([[null, 0]]);
  const lookOf = (element) => {
    if (!looks.has(element)) {
      const style = getComputedStyle(element);
      looks.set(element, number([
        lookOf(element.parentElement), style.color, style.backgroundColor, style.backgroundImage,
        style.opacity, style.fontSize, style.fontWeight, style.textShadow, style.filter, style.mixBlendMode,
        style.position, style.overflow, style.clipPath, element.matches(":disabled, [aria-disabled=true]"),
      ].join()));
    }
    return looks.get(element);
  };
  const alike = new Map();
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.data.trim()).join("");
    if (!text || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const look = lookOf(element);
    alike.set(look, [...alike.get(look) ?? [], [text.length, element]]);
  }
  for (const group of alike.values())
    for (const [, element] of group.sort(([one], [other]) => other - one).slice(2))
      element.dataset.alike = "";
  // A listing is most of a page's elements, and axe is slow by their number.
  window.whole = [...document.querySelectorAll("article pre")].map((listing) => [listing, [...listing.childNodes]]);
  for (const [listing, tokens] of whole)
    listing.replaceChildren(...tokens.filter((token) => !token.dataset || !("alike" in token.dataset)));
}"""
WHOLE_AGAIN = """() => {
  for (const [listing, tokens] of whole) listing.replaceChildren(...tokens);
  document.querySelectorAll("[data-alike]").forEach((element) => delete element.dataset.alike);
}"""
CONTRAST_OF_EACH_LOOK = Axe(
    AXE_SCRIPT
    + """;axe.configure({ rules: [{ id: "color-contrast", selector: ":not([data-alike])" }] });"""
)


def test_axe_finds_nothing_serious(visit):
    visit.open_dropdowns()
    visit.page.evaluate(ONE_OF_EACH_LOOK)
    options = VIOLATIONS | (COLOURS if visit.theme == "dark" else {})
    told = CONTRAST_OF_EACH_LOOK.run(visit.page, options=options).response
    found = [
        f"{rule['id']}: {node['html'][:120]} ({node['failureSummary'].splitlines()[-1].strip()})"
        for rule in told["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    visit.page.evaluate(WHOLE_AGAIN)
    assert not found, f"{visit}: {len(found)} violations: {found[:3]}"


def test_what_scrolls_on_a_phone_scrolls_by_keyboard(layout):
    layout.open_dropdowns()
    with layout.on_a_phone() as page:
        # What axe asks of a scrolling box, and of all its rules the one that depends on width.
        stuck = page.evaluate(
            """() => [...document.querySelectorAll("main *")].filter((box) =>
              ["auto", "scroll"].includes(getComputedStyle(box).overflowX) && box.scrollWidth > box.clientWidth + 1 &&
              box.checkVisibility() && box.tabIndex < 0 && !box.querySelector("a[href], button, summary, input, [tabindex='0']"))
              .map((box) => box.outerHTML.slice(0, 100))"""
        )
    assert not stuck, f"{layout}: scrolls, but not by keyboard: {stuck}"


def test_a_page_can_be_read_without_scripts(still):
    text = "".join(still.page.locator("main").inner_text().split())
    missing = [
        words
        for paragraph in parse(still.name).select("article p:not(details *)")
        # A title and a caption end in a link that shows only under the mouse.
        if (words := "".join(paragraph.get_text().split()).removesuffix("#"))
        not in text
    ]
    assert len(text) > 20, f"{still.name}: nothing to read without scripts"
    assert not missing, f"{still.name}: not shown without scripts: {missing[:3]}"


def test_a_word_of_the_book_is_found_from_any_page(browser):
    start, sought = CHAPTERS[0], CHAPTERS[-1]
    prose = " ".join(
        paragraph.get_text() for paragraph in parse(sought).select("article p")
    )
    word = max(re.findall(r"\b[a-z]{4,}\b", prose), key=len)
    visit = Visit(browser)
    visit.go(start)
    try:
        visit.page.locator(".search-button__button:visible").click()
        visit.page.keyboard.type(word)
        visit.page.keyboard.press("Enter")
        # The list grows one by one; the summary comes last, also if nothing was found.
        visit.page.locator(".search-summary:not(:empty)").wait_for(timeout=10_000)
        results = visit.page.eval_on_selector_all(
            "#search-results li a", "links => links.map((link) => link.href)"
        )
        found = [
            unquote(urlsplit(result).path).removeprefix(f"{BOOK}/")
            for result in results
        ]
        assert sought in found, f"{word!r} is in {sought}, but a search finds {results}"
        assert set(found) <= set(PAGES), f"{word!r}: {results} are not all pages"
        visit.page.goto(results[found.index(sought)])
        assert visit.page.locator("h1:visible").count() == 1
        assert not visit.complaints, f"searching for {word!r}: {visit.complaints}"
        assert not visit.failures, f"searching for {word!r}: {visit.failures}"
    finally:
        visit.context.close()


def test_opening_the_folder_shows_the_first_page(browser):
    page = browser.new_page()
    page.goto((BOOK / ENTRANCE).as_uri())
    for _ in range(50):
        if page.locator("article h1").count() == 1:
            break
        page.wait_for_timeout(100)
    shown = page.url.removeprefix(f"{BOOK.as_uri()}/")
    assert shown in PAGES, f"{ENTRANCE} does not lead on: {shown}"
    page.close()
