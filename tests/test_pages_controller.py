"""The game of the controller in a browser: its arithmetic, its verdicts, its play."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from browser import DESKTOP, PHONE, Visit
from pages import BOOK, ROOT
from playwright.sync_api import Browser, Locator, Page
from torch import Tensor

from ntm.book import live
from ntm.book.live._controller import BOUNDS, KEYS

PRECISION = 1e-6
STAGES = ("content", "gated", "shifted", "sharpened")

LIVE = (ROOT / "book" / "_static" / "live.js").read_text("utf-8")
MODEL = re.search(r"^function modelOf.*?^}$", LIVE, re.MULTILINE | re.DOTALL)[0]
"""How the built page makes a model of plain values."""

ALONE = f"""async (values) => {{
  {MODEL}
  window.model = modelOf(values);
  const address = URL.createObjectURL(new Blob([values._esm], {{ type: "text/javascript" }}));
  const {{ default: figure }} = await import(address);
  figure.render({{ model, el: document.body }});
}}"""
"""Puts the figure on an empty page, with a model that the test can reach."""


@pytest.fixture(scope="module")
def alone(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    names = ("_esm", "game", "level", "settings", "step", "strongest", "sharpest")
    state = live.Controller().get_state(list(names))
    page.evaluate(ALONE, state)
    yield page
    page.close()


def put(page: Page, game: live.Controller) -> None:
    """Show a game as it stands, as Python would."""
    page.evaluate(
        """async (values) => {
          for (const [name, value] of Object.entries(values)) model.set(name, value);
          await new Promise((done) => setTimeout(done));
        }""",
        game.get_state(["level", "settings", "step"]),
    )


def shown(page: Page, name: str) -> Tensor:
    """Return the numbers of that name, in the order of the page."""
    values = page.locator(f".ntm-figure [data-name='{name}'][data-value]")
    return torch.tensor(
        values.evaluate_all("(parts) => parts.map((p) => Number(p.dataset.value))"),
        dtype=torch.float64,
    )


def drawn(draw: random.Random) -> dict[str, Any]:
    """Return some settings: none, a few or all of them."""
    taps = [draw.random() ** 4 for _ in range(3)]
    made: dict[str, Any] = {n: draw.uniform(*BOUNDS[n]) for n in BOUNDS}
    made |= {"key": draw.choice(KEYS), "kernel": [tap / sum(taps) for tap in taps]}
    return {name: made[name] for name in made if draw.random() < 0.6}


def test_the_page_computes_what_python_does(alone: Page) -> None:
    draw, largest = random.Random(0), 0.0
    for level in (1, 2, 3) * 5:
        game = live.Controller(level=level, settings=[drawn(draw) for _ in range(9)])
        for game.step in range(9):
            put(alone, game)
            found = game.run[game.step]
            pairs = [
                (getattr(found.address, ours), shown(alone, theirs))
                for ours, theirs in zip(found.address._fields, STAGES, strict=True)
            ]
            pairs.append((found.memory.flatten(), shown(alone, "memory")))
            if game.step > 4:
                so_far = game.answer[: game.step - 4].flatten()
                pairs.append((so_far, shown(alone, "answer")))
            for ours, theirs in pairs:
                largest = max(largest, float((ours - theirs).abs().max()))
        said = alone.locator(".score").inner_text()
        assert f"Bits right: {game.score} of 32" in said
        assert f"Changes after step 0: {game.changes}" in said
    print(f"largest difference: {largest:.1e}")
    assert largest <= PRECISION


BACK, STAY, ON = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
MINE = {"gate": 0, "strength": 50, "exponent": 10, "erase": 1, "add": 1, "kernel": STAY}
STORED = [MINE, {"kernel": ON}, {}, {}, {}]
ASKED = {"erase": 0, "add": 0}
MOSTLY = {"kernel": ON, "gate": 1, "key": "input"} | ASKED
VERDICTS = [
    (1, [], 0, "unwritten", "Not written: only 0.00 of the start mark"),
    (1, [{"add": 1}], 0, "undecided", "no row has more than 0.13 of the content"),
    (1, [{"add": 1, "gate": 0, "kernel": ON}], 1, "smeared", "only 0.64 of the weight"),
    (1, [MINE], 1, "overwrote", "start mark was in location 0, and was still needed."),
    (2, [MINE | {"erase": 0}], 0, "unerased", "start mark is mixed with what was in"),
    (1, STORED, 3, "well", "vector 3 is in location 3, with a weight of 1.00."),
    (1, [*STORED, ASKED], 5, "off", "4 off: location 5 is read, and vector 1 is in"),
    (1, [*STORED, ASKED | {"gate": 1, "kernel": STAY}], 5, "off", "One off: location"),
    (1, [*STORED, {"gate": 1}], 5, "overwrote", "vector 1 was in location 1, and"),
    (1, [*STORED[:2], {"add": 0}], 6, "lost", "vector 2 is nowhere in the memory"),
    (1, [*STORED[:2], {"add": 0}], 6, "lost", "since step 2; go back there."),
    (1, [*STORED, ASKED | {"gate": 1}], 5, "well", "vector 1 is read from location 1"),
    (
        3,
        [*STORED, MOSTLY | {"strength": 1, "exponent": 1}],
        5,
        "undecided",
        "and the gate lets it in",
    ),
    (3, [*STORED, MOSTLY | {"gate": 0.5, "exponent": 1}], 5, "smeared", "only"),
    (3, [*STORED, MOSTLY], 5, "well", "vector 3 is read from location 3, every bit"),
    (3, [*STORED, MOSTLY | {"kernel": STAY}], 5, "off", "One off: location 2 is read"),
]


@pytest.mark.parametrize(("level", "settings", "step", "kind", "said"), VERDICTS)
def test_a_step_is_judged_in_a_sentence(
    alone: Page, level: int, settings: Any, step: int, kind: str, said: str
) -> None:
    put(alone, live.Controller(level=level, settings=settings, step=step))
    status = alone.locator(".status")
    assert status.get_attribute("data-kind") == kind, status.inner_text()
    assert said in status.inner_text()
    assert status.inner_text() in alone.locator(".ntm-figure").get_attribute(
        "aria-label"
    )
    marks = alone.locator(".timeline .sign").all_inner_texts()
    assert marks[step] == ("✓" if kind == "well" else "✗")
    assert not any(marks[step + 1 :])


def test_every_verdict_was_provoked() -> None:
    kinds = set(re.findall(r'return \["(\w+)",', live.Controller._esm))
    assert kinds == {kind for _, _, _, kind, _ in VERDICTS}


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    visit.go("book/address.html")
    yield visit
    assert not visit.complaints
    visit.context.close()


def game_of(visit: Visit) -> Locator:
    return visit.page.locator(".ntm-figure:has(.game)")


def press(figure: Locator, label: str, times: int = 1) -> None:
    for _ in range(times):
        figure.get_by_role("button", name=label, exact=True).click()


def test_a_level_is_lost_by_default_and_won_by_the_chapters_program(
    visit: Visit,
) -> None:
    figure = game_of(visit)
    for level in (1, 2, 3):
        press(figure, f"Level {level}")
        press(figure, "Step", 8)
        assert "Not won yet." in figure.locator(".score").inner_text()
        press(figure, "The chapter’s program")
        said = figure.locator(".score").inner_text()
        assert said.startswith("Bits right: 32 of 32.")
        assert said.endswith("You have won this level.")
        assert figure.locator(".timeline .sign").all_inner_texts() == ["✓"] * 9
        assert figure.get_by_role("button", name="Step", exact=True).is_disabled()


def test_the_program_is_broken_by_one_setting_and_the_rest_stays(visit: Visit) -> None:
    figure = game_of(visit)
    press(figure, "The chapter’s program")
    press(figure, "Step", 2)
    press(figure, "stay")  # as at step 0, and from here on to the end
    press(figure, "Step")
    status = figure.locator(".status").inner_text()
    assert "Overwrote: vector 2 was in location" in status or "Smeared" in status
    assert "Overwrote: vector 1" in verdict_at(figure, 2)
    assert "Well" in verdict_at(figure, 1)


def verdict_at(figure: Locator, step: int) -> str:
    figure.get_by_role("button", name=f"go to step {step}", exact=True).click()
    return figure.locator(".status").inner_text()


def test_the_first_level_is_won_by_keyboard_alone(visit: Visit) -> None:
    figure, keyboard = game_of(visit), visit.page.keyboard

    def move(name: str, key: str) -> None:
        figure.locator(f"input[data-name='{name}']").focus()
        keyboard.press(key)

    def push(label: str) -> None:
        figure.get_by_role("button", name=label, exact=True).focus()
        keyboard.press("Enter")

    for name, key in [("gate", "Home"), ("add", "End"), ("exponent", "End")]:
        move(name, key)
    move("strength", "End")
    for label in ("Step", "on", "Step", "Step", "Step", "Step"):
        push(label)
    move("gate", "End")
    push("Step")
    move("gate", "Home")
    push("Step")
    push("Step")
    said = figure.locator(".score").inner_text()
    assert said == (
        "Bits right: 32 of 32. Changes after step 0: 3. You have won this level."
    )


def test_a_finger_steers_it(browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, offline=True)
    page = context.new_page()
    page.goto(f"{BOOK.as_uri()}/book/address.html")
    page.wait_for_function("document.documentElement.dataset.live")
    figure = page.locator(".ntm-figure:has(.game)")
    figure.get_by_role("button", name="on", exact=True).tap()
    gate = figure.locator("input[data-name='gate']")
    gate.scroll_into_view_if_needed()
    box = gate.bounding_box()
    page.touchscreen.tap(box["x"] + 2, box["y"] + box["height"] / 2)
    figure.get_by_role("button", name="Step", exact=True).tap()
    assert float(gate.get_attribute("data-value")) == 0
    shown = figure.locator("[data-name='kernel']").all_inner_texts()
    assert shown == ["0.10", "0.10", "0.80"]
    assert figure.locator(".status").inner_text().startswith("Step 1 of 8: vector 1")
    context.close()


@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "screen"])
def test_settings_and_what_they_do_are_on_one_screen(
    visit: Visit, window: dict[str, int]
) -> None:
    visit.page.set_viewport_size(window)
    for figure in visit.page.locator(".ntm-figure").all():
        box = figure.bounding_box()
        assert box["height"] < window["height"] - 60, "the head of the page is over it"


def test_the_state_of_the_notebook_is_small() -> None:
    game = live.Controller()
    assert len(json.dumps(game.get_state(["game", "settings"]))) < 10_000
