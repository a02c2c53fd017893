"""The machine that is tampered with: as in PyTorch, and in the reader's hands.

What holds for every live figure, the numbers on the screen among it, is tested in
`test_pages_live`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from browser import LOCAL, READY, Visit
from pages import BOOK
from playwright.sync_api import Browser, Locator
from test_pages_live import (
    COPIERS,
    VIEW,
    assert_right,
    figures,
    in_the_browser,
    parse,
    press,
    tensor,
)

from ntm.book import live
from ntm.book.live._tamper import HEADS, TOLD, TOOLS

PAGE = "book/heads.html"

FILMS = """({ TASKS, unpack, tampered }, { packed, task, words, locations, all }) => {
  const { inputs } = TASKS[task](words.split(" ").map((word) => [...word].map(Number)));
  return all.map((how) => tampered(unpack(packed), inputs, locations, how).map(({ output, state }) =>
    [[...(output ?? [])], [...state.write[0]], [...state.read[0]]]));
}"""


@pytest.mark.parametrize("name", COPIERS)
def test_both_sides_tamper_alike(browser: Browser, name: str) -> None:
    """Every tool on every head, early and late: the same bits and the same weightings."""
    figure = live.Tamper(name)
    ready = [preset["how"] for preset in json.loads(figure.presets)]
    own = [
        {"tool": tool, "head": head, "when": when, "row": 5, "other": 2, "amount": 0.7}
        for tool in TOOLS
        for head in (HEADS if tool == "move" or tool in TOLD else ("read",))
        for when in (1, 4, 9, 12)
    ]
    before = figure._how
    given = {
        "packed": json.loads(figure.packed),
        "task": figure.task,
        "words": figure.words,
        "locations": figure.locations,
        "all": [
            before | how | {"noise": json.loads(figure.noise)} for how in [*ready, *own]
        ],
    }
    films = in_the_browser(browser, FILMS, given, "tamper.js")
    largest, near = 0.0, 0
    for how, film in zip(given["all"], films, strict=True):
        logits, states = figure._copy(
            figure.locations, {k: v for k, v in how.items() if k != "noise"}
        )
        said = tensor([output for output, *_ in film[10:]])
        # What was lost is somewhere between 0 and 1; half a hundredth is either.
        sure = logits.abs() > 5e-3
        near += int((~sure).sum())
        assert torch.equal((said > 0)[sure], (logits > 0)[sure]), how
        for (_, *theirs), state in zip(film, states, strict=True):
            for ours, other in zip(state.weightings, theirs, strict=True):
                largest = max(largest, float((ours[0, 0] - tensor(other)).abs().max()))
    print(f"{name}: weightings differ by {largest:.1e}; {near} bits undecided")
    assert largest <= 1e-4
    assert near <= 3


# In the reader's hands.


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    visit.go(PAGE)
    yield visit
    visit.context.close()


def tamper(visit: Any) -> Locator:
    (found,) = [
        figure
        for figure in figures(getattr(visit, "page", visit))
        if "tamper" in figure.get_attribute("aria-label")
    ]
    return found


def test_the_reader_predicts_by_keyboard_and_then_sees(page: Visit) -> None:
    figure, keyboard = tamper(page), page.page.keyboard
    status = figure.locator(".status")
    assert status.inner_text().endswith("What will change?")
    assert figure.locator(".answer [data-value]").count() == 0, (
        "the answer is given away"
    )
    guesses = figure.locator(".guess")
    for k in (2, 3):
        guesses.nth(k).focus()
        keyboard.press("Space")
    pressed = [g.get_attribute("aria-pressed") == "true" for g in guesses.all()]
    assert pressed == [k in (2, 3) for k in range(8)]
    figure.get_by_role("button", name="See").focus()
    keyboard.press("Enter")
    shown = assert_right(figure)
    assert shown["step"] == 17
    assert "1 of 8 vectors changed. You predicted 7 of 8 right." in status.inner_text()
    marks = [guess.inner_text() for guess in guesses.all()]
    assert marks == ["✓", "✓", "✗", "✓", "✓", "✓", "✓", "✓"]
    changed = [
        k for k, g in enumerate(guesses.all()) if "changed" in g.get_attribute("class")
    ]
    assert changed == live.Tamper().changed == [3]
    assert (
        guesses.nth(2).get_attribute("aria-label").endswith("will change: it did not")
    )
    # What was said stays, whatever is pressed now.
    guesses.nth(0).focus()
    keyboard.press("Space")
    assert guesses.nth(0).get_attribute("aria-pressed") == "false"
    press(figure, "Back")
    assert assert_right(figure)["step"] == 16
    press(figure, "Reset")
    assert figure.locator(".answer [data-value]").count() == 0


def test_every_ready_made_intervention_is_shown_as_it_is(page: Visit) -> None:
    figure = tamper(page)
    presets = json.loads(live.Tamper().presets)
    choice = figure.locator("select[data-name=preset]")
    for at, preset in enumerate(presets):
        choice.select_option(str(at))
        before = assert_right(figure)
        assert before["step"] == preset["how"]["when"] - 1
        press(figure, "See")
        after = assert_right(figure)
        mine = live.Tamper(**preset["how"]).changed
        said = f"{len(mine)} of 8 vectors changed. You predicted {8 - len(mine)} of 8"
        assert said in figure.locator(".status").inner_text(), preset["name"]
        assert int(after["preset"]) == at + 1
    right = sum(8 - len(live.Tamper(**preset["how"]).changed) for preset in presets)
    total = f"right, {right} of {8 * len(presets)} so far."
    assert figure.locator(".status").inner_text().endswith(total)
    press(figure, "Reset")


def test_what_a_tool_does_not_ask_for_is_not_there(page: Visit) -> None:
    figure = tamper(page)
    asked = {
        "overwrite": {"row", "other"},
        "move": {"head", "row"},
        "gate": {"head"},
        "exponent": {"head"},
        "kernel": {"head"},
        "noise": {"amount"},
        "remove": {"row"},
    }
    for tool, names in asked.items():
        figure.locator("select[data-name=tool]").select_option(tool)
        shown = {
            control.get_attribute("data-name")
            for control in figure.locator(".choices [data-name]").all()
            if control.is_visible()
        }
        assert shown == names | {"preset", "tool", "when"}
        assert_right(figure)
    press(figure, "Reset")


def test_a_finger_predicts_and_the_answer_grows_before_the_eyes(
    browser: Browser,
) -> None:
    """On a phone, where motion is welcome: step by step, to the end."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, offline=True
    )
    phone = context.new_page()
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.goto(f"{BOOK.as_uri()}/{PAGE}")
    phone.evaluate(READY)
    figure = tamper(phone)
    figure.locator(".guess").nth(3).tap()
    figure.get_by_role("button", name="See").tap()
    known = figure.locator(".guess", has_text="✓")
    seen = set()
    for _ in range(200):
        seen.add(known.count())
        if known.count() == 8:
            break
        phone.wait_for_timeout(60)
    assert len(seen) > 3, "it comes all at once"
    assert "You predicted 8 of 8 right." in figure.locator(".status").inner_text()
    box, memory = figure.bounding_box(), figure.locator(".memory").bounding_box()
    assert box["width"] <= 390
    assert memory["y"] + memory["height"] - box["y"] < 844, "not on one screen"
    assert all(url.startswith(LOCAL) for url in asked)
    context.close()


def test_the_chapter_has_the_figure_once() -> None:
    assert len(parse(PAGE).select(VIEW)) == 2
