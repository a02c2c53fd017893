"""What every live figure of the built book promises: right, by keyboard and by hand.

The numbers on the screen are read off it and computed again with `ntm`.  The tests that
hold for every page, console and `axe` among them, meet the figures in
`test_pages_in_browser`.
"""

import json
import random
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from browser import LOCAL, READY, Visit
from pages import BOOK, CHAPTERS, ROOT, parse
from playwright.sync_api import Browser, Locator, Page
from torch import Tensor

import ntm
from ntm import addressing, memory, pretrained
from ntm.book import live
from ntm.book.live import Border
from ntm.book.live._machine import LENGTHS, letters, packed
from ntm.book.live._tamper import HEADS, TOOLS
from ntm.machine import Trace
from ntm.tasks import (
    TASKS,
    AssociativeRecall,
    Copy,
    NGrams,
    PrioritySort,
    RepeatCopy,
)

EXPLORABLES = ROOT / "ntm" / "book" / "live"
VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]'
STATE = 'script[type="application/vnd.jupyter.widget-state+json"]'
LIVE_PAGES = [
    page
    for page in CHAPTERS
    if "jupyter.widget-view" in (BOOK / page).read_text(encoding="utf-8")
] or ["no-page"]
KILOBYTES = 64  # of JavaScript on a page, less its theme's and MathJax
PRECISION = 1e-9
COPIERS = [n for n, card in pretrained.available().items() if card["task"] == "copy"]


@pytest.fixture(
    scope="module",
    params=[(page, "light") for page in LIVE_PAGES],
    ids=lambda pair: "-".join(pair),
)
def visit(request, window) -> Visit:
    return window(*request.param)


@pytest.fixture(
    scope="module",
    params=[(page, "without scripts") for page in LIVE_PAGES],
    ids=LIVE_PAGES,
)
def still(request, window) -> Visit:
    return window(*request.param, has_scripts=False)


# One arithmetic.


def cases(count: int = 500) -> dict[str, list[list[Any]]]:
    """Return arguments for every function, edge cases among them, as plain numbers."""
    draw = random.Random(0)

    def numbers(n: int) -> list[float]:
        return [draw.uniform(-1, 1) for _ in range(n)]

    def weights(n: int) -> list[float]:
        if draw.random() < 0.25:
            place = draw.randrange(n)
            return [float(i == place) for i in range(n)]
        raw = [draw.random() ** draw.choice((1, 8)) for _ in range(n)]
        return [x / sum(raw) for x in raw]

    found: dict[str, list[list[Any]]] = {
        name: []
        for name in (
            "cosine_similarity",
            "content_weighting",
            "interpolate",
            "shift",
            "sharpen",
            "address",
            "read",
            "erase",
            "add",
            "write",
        )
    }
    for case in range(count):
        n, w = draw.randint(5, 12), draw.randint(1, 6)
        table = [numbers(w) for _ in range(n)]
        key = numbers(w)
        if case % 5 == 0:
            table[draw.randrange(n)] = [0.0] * w
        if case % 7 == 0:
            key = [0.0] * w
        strength = draw.choice((0.0, 1.0, 50.0, 1000.0, draw.uniform(0, 20)))
        gate = draw.choice((0.0, 1.0, draw.random()))
        kernel = weights(draw.choice((1, 3, 5)))
        exponent = draw.choice((1.0, 50.0, draw.uniform(1, 20)))
        focus, previous = weights(n), weights(n)
        e, a = [draw.random() for _ in range(w)], numbers(w)
        found["cosine_similarity"].append([key, table])
        found["content_weighting"].append([table, key, strength])
        found["interpolate"].append([focus, previous, gate])
        found["shift"].append([focus, kernel])
        nothing = [0.0] * n if case % 50 == 0 else focus
        found["sharpen"].append([nothing, exponent])
        found["address"].append(
            [table, previous, key, strength, gate, kernel, exponent]
        )
        found["read"].append([table, focus])
        found["erase"].append([table, focus, e])
        found["add"].append([table, focus, a])
        found["write"].append([table, focus, e, a])
    return found


def tensor(value: Any) -> Any:
    is_list = isinstance(value, list)
    return torch.tensor(value, dtype=torch.float64) if is_list else value


def test_both_arithmetics_give_the_same(browser: Browser) -> None:
    page = browser.new_page()
    source = (EXPLORABLES / "arithmetic.js").read_text(encoding="utf-8")
    given = cases()
    results = page.evaluate(
        """async ([source, cases]) => {
          const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const arithmetic = await import(address);
          const names = Object.keys(arithmetic).sort();
          const results = Object.fromEntries(Object.entries(cases).map(([name, list]) =>
            [name, list.map((values) => arithmetic[name](...values))]));
          return [names, results];
        }""",
        [source, given],
    )
    page.close()
    names, theirs = results
    assert names == sorted(given), "a function that no case is for"
    largest = 0.0
    for name, arguments in given.items():
        function = getattr(memory, name, None) or getattr(addressing, name)
        for values, got in zip(arguments, theirs[name], strict=True):
            ours = function(*map(tensor, values))
            pairs = (
                [(part, got[stage]) for stage, part in ours._asdict().items()]
                if isinstance(got, dict)
                else [(ours, got)]
            )
            for mine, other in pairs:
                assert mine.shape == tensor(other).shape, name
                off = float((mine - tensor(other)).abs().max())
                assert off <= PRECISION, f"{name}{tuple(values)}: off by {off}"
                largest = max(largest, off)
    print(f"largest difference: {largest:.1e}")


def in_the_browser(browser: Browser, function: str, given: Any, *others: str) -> Any:
    """Return what a JavaScript function makes of both modules and what it is given."""
    page = browser.new_page()
    sources = [
        (EXPLORABLES / name).read_text("utf-8")
        for name in ("arithmetic.js", "machine.js", *others)
    ]
    result = page.evaluate(
        f"""async ([source, given]) => {{
          const address = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
          return ({function})(await import(address), given);
        }}""",
        ["\n".join(sources), given],
    )
    page.close()
    return result


RUN = """({ TASKS, unpack, initial_state, step }, { packed, sequences }) => {
  const machine = unpack(packed);
  return sequences.map(([inputs, locations]) => {
    let state = initial_state(machine, locations);
    return inputs.map((input) => {
      const { output, state: next } = step(machine, state, input);
      state = next;
      return [output, state.write.flatMap((w) => [...w]), state.read.flatMap((w) => [...w])].map((x) => [...x]);
    });
  });
}"""


SIZES = {
    "copy": [(1, 5), (4, 6), (9, 9), (16, 30), (20, 22)],
    "associative-recall": [(2, 17), (4, 22), (6, 64)],
}
"""What is tried of each task: vectors or items, and locations."""

KNOWN = [n for n, card in pretrained.available().items() if card["task"] in SIZES]


@pytest.mark.parametrize("name", [*KNOWN, "of many heads"])
def test_both_machines_are_the_same(browser: Browser, name: str) -> None:
    task = "copy"
    if name == "of many heads":
        machine = ntm.NTM(9, 8, num_heads=3, controller_size=30, shift_range=2)
    else:
        machine = ntm.load(name)
        task = pretrained.available()[name]["task"]
    draw = torch.Generator().manual_seed(1)
    batches = [
        (TASKS[task]().batch(draw, 10, size), rooms) for size, rooms in SIZES[task]
    ]
    sequences = [
        [inputs.tolist(), rooms]
        for batch, rooms in batches
        for inputs in batch.inputs.unbind(1)
    ]
    found = in_the_browser(
        browser, RUN, {"packed": packed(machine), "sequences": sequences}
    )
    largest = 0.0
    for batch, rooms in batches:
        steps, found = found[:10], found[10:]
        with torch.no_grad():
            begin = machine.initial_state(10, rooms)
            logits, _, trace = machine.trace(batch.inputs, begin)
        for at, outputs, *theirs in (
            (i, *zip(*s, strict=True)) for i, s in enumerate(steps)
        ):
            asked = batch.mask[:, at] > 0
            assert torch.equal(tensor(list(outputs))[asked] > 0, logits[asked, at] > 0)
            for ours, other in zip((trace.write, trace.read), theirs, strict=True):
                weighting = ours.weighting[:, at].flatten(1)
                largest = max(
                    largest, float((weighting - tensor(list(other))).abs().max())
                )
    print(f"{name}: weightings differ by {largest:.1e} at most")
    assert largest <= 1e-4


def test_both_sides_ask_a_task_alike(browser: Browser) -> None:
    words = ["10110010", "00000000", "11111111"]
    theirs = in_the_browser(
        browser,
        "({ TASKS }, words) => TASKS.copy(words.map((w) => [...w].map(Number)))",
        words,
    )
    batch = Copy().from_words(words)
    assert theirs["inputs"] == batch.inputs[:, 0].tolist()
    asked = [target is not None for target in theirs["targets"]]
    assert asked == (batch.mask[:, 0] > 0).tolist()
    answer = [target for target in theirs["targets"] if target]
    assert answer == batch.targets[batch.mask > 0].tolist()


def test_only_two_modules_compute() -> None:
    for path in EXPLORABLES.glob("*.js"):
        if path.name not in ("arithmetic.js", "machine.js"):
            text = path.read_text(encoding="utf-8")
            for sign in ("Math.exp", "Math.log", "Math.tanh", "Math.sqrt", "Math.pow"):
                assert sign not in text, f"{path.name} computes: {sign}"


# What is on the screen.


def figures(page: Page) -> list[Locator]:
    return page.locator(".ntm-figure").all()


def numbers(figure: Locator) -> dict[str, Tensor]:
    """Return all the numbers that a figure shows, by name."""
    found = figure.evaluate(
        """(figure) => [...figure.querySelectorAll("[data-name]")]
          .filter((part) => "value" in part.dataset && part.checkVisibility({ visibilityProperty: true }))
          .map(({ dataset }) => [dataset.name.split(" ")[0], Number(dataset.row ?? 0), Number(dataset.value)])"""
    )
    tables: dict[str, dict[int, list[float]]] = {}
    for name, row, value in found:
        tables.setdefault(name, {}).setdefault(row, []).append(value)
    rows = {name: list(table.values()) for name, table in tables.items()}
    return {name: tensor(r if len(r) > 1 else r[0]) for name, r in rows.items()}


@cache
def recorded(doing: str) -> Trace:
    """Return the trace of the machine that does this in a chapter."""
    if doing == "recalls":
        machine = ntm.load("recall-lstm")
        short, rooms = AssociativeRecall().batch(seeded(8), 1, 3), 20
    elif doing == "repeats":
        machine = ntm.load("repeat-lstm")
        short, rooms = RepeatCopy().batch(seeded(4), 1, 3, 3), 16
    elif doing == "predicts":
        machine = ntm.load("ngrams-lstm")
        short, rooms = NGrams().batch(seeded(199), 1, 20), 16
    elif doing == "sorts":
        machine = ntm.load("sort-feedforward")
        posed = PrioritySort(delimiter=True)
        short, rooms = posed.batch(seeded(2), 1, 10, 8), 14
    else:
        machine = ntm.load("copy-feedforward")
        short, rooms = Copy().from_words(letters("machines").split()), 12
    with torch.no_grad():
        return machine.trace(short.inputs, machine.initial_state(1, rooms))[2]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def expected(label: str, shown: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what `ntm` computes for the settings that a figure shows."""
    if "you are the controller" in label:
        gated = (shown["content"], shown["previous"], shown["gate"])
        shifted = (shown["gated"], shown["kernel"])
        return {
            "gated": addressing.interpolate(*gated),
            "shifted": addressing.shift(*shifted),
            "sharpened": addressing.sharpen(shown["shifted"], shown["exponent"]),
        }
    if "reading" in label:
        return {"read_vector": memory.read(shown["memory"], shown["weighting"])}
    if "writing" in label:
        focus = (shown["memory"], shown["weighting"])
        return {
            "erased": memory.erase(*focus, shown["erase_vector"]),
            "written": memory.write(*focus, shown["erase_vector"], shown["add_vector"]),
        }
    if "address" in label:
        # It lies on its side: a location is a column.
        rows, key = shown["memory"].mT, shown["key"]
        content = addressing.content_weighting(rows, key, shown["strength"])
        found = {
            "similarity": addressing.cosine_similarity(key, rows),
            "content": content,
        }
        if "gate" in shown:
            gated = addressing.interpolate(content, shown["previous"], shown["gate"])
            found["gated"] = gated
        if "kernel" in shown:
            found["shifted"] = addressing.shift(found["gated"], shown["kernel"])
        if "exponent" in shown:
            found["sharpened"] = addressing.sharpen(found["shifted"], shown["exponent"])
        return found
    if "again and again" in label:
        blurred = kept = torch.eye(24, dtype=torch.float64)[2]
        for _ in range(int(shown["steps"])):
            blurred = addressing.shift(blurred, shown["kernel"])
            kept = addressing.shift(kept, shown["kernel"])
            kept = addressing.sharpen(kept, shown["exponent"])
        return {"blurred": blurred, "kept": kept}
    if "border" in label:
        film = bordering(shown).film[[1, 10, 30, 100, 300]]
        due = bordering(shown).due[[1, 10, 30, 100, 300]]
        return {"weight": torch.stack([due, film.amax(1)])}
    if "your bits" in label:
        return played(shown)
    if "tamper" in label:
        return tampered_with(shown)
    assert "trained machine" in label, label
    known = ("recalls", "repeats", "predicts", "sorts")
    doing = next((word for word in known if word in label), "copies")
    trace, at = recorded(doing), int(shown["step"])
    return {
        "write": trace.write.weighting[at, 0, 0].double(),
        "read": trace.read.weighting[at, 0, 0].double(),
    }


def bordering(shown: dict[str, Tensor]) -> Border:
    """Return the figure of the border as Python has it."""
    return Border(leak=float(shown["leak"]), exponent=float(shown["exponent"]))


def played(shown: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what the shipped machine does with the bits that a figure shows."""
    if "bit" not in shown:  # a long copy, of which only the whole is seen
        return {}
    words = [
        "".join(str(int(bit)) for bit in vector) for vector in shown["bit"].view(-1, 8)
    ]
    batch, step = Copy().from_words(words), int(shown["step"])
    machine = ntm.load("copy-feedforward")
    with torch.no_grad():
        begin = machine.initial_state(1, int(shown["locations"]))
        logits, _, trace = machine.trace(batch.inputs, begin)
    so_far = batch.mask[:step, 0] > 0
    found = {"length": torch.tensor(float(len(words)))}
    if so_far.any():
        found["answer"] = (logits[:step][so_far, 0] > 0).double()
    if step:
        found["write"] = trace.write.weighting[step - 1, 0, 0].double()
        found["read"] = trace.read.weighting[step - 1, 0, 0].double()
    return found


def tampered_with(shown: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what the shipped machine does when it is tampered with as a figure says."""
    how: dict[str, Any] = {
        name: int(shown[name])
        for name in ("row", "other", "when", "step")
        if name in shown
    }
    how["tool"] = TOOLS[int(shown["tool"])]
    if "head" in shown:
        how["head"] = list(HEADS)[int(shown["head"])]
    if "amount" in shown:
        how["amount"] = float(shown["amount"])
    figure = live.Tamper(**how)
    write, read = figure.weightings
    found = {"write": write[0].double(), "read": read[0].double()}
    if "answer" in shown:
        vectors = int(shown["step"]) - 9
        found["answer"] = figure.answer[:vectors].double().view(shown["answer"].shape)
    return found


def assert_right(figure: Locator) -> dict[str, Tensor]:
    """Compare all that a figure shows with what it should show; return that."""
    shown = numbers(figure)
    for name, wanted in expected(figure.get_attribute("aria-label"), shown).items():
        # A trace is recorded to three decimals.
        # One that was packed has numbers of single precision.
        precision = 6e-4 if name in ("write", "read") else PRECISION
        off = float((shown[name] - wanted).abs().max())
        assert off <= precision, f"{name}: off by {off}"
    return shown


def assert_shown_as_computed(figure: Locator) -> None:
    """Compare what the eye sees, text and height of a bar, with the numbers behind."""
    off = figure.evaluate(
        """(figure) => {
          const close = (text, value, by) => Math.abs(Number(text.replace("−", "-")) - value) <= by;
          const cells = [...figure.querySelectorAll(".cell")].filter((c) => !close(c.textContent, +c.dataset.value, 0.0501));
          const bars = [...figure.querySelectorAll(".column")].filter((c) => c.checkVisibility()).filter((c) =>
            !close(c.querySelector(".number").textContent, +c.dataset.value, 0.00501) ||
            Math.abs(parseFloat(c.querySelector(".fill").style.height) - 100 * c.dataset.value) > 0.01);
          return [...cells, ...bars].map((part) => part.outerHTML.slice(0, 120));
        }"""
    )
    assert not off, off


def test_every_figure_lives_and_begins_right(visit: Visit) -> None:
    views = len(parse(visit.name).select(VIEW))
    assert len(figures(visit.page)) == views > 0
    for figure in figures(visit.page):
        assert_right(figure)
        assert_shown_as_computed(figure)
    stills = visit.page.locator(".is-live img")
    assert stills.count() == views
    assert not any(still.is_visible() for still in stills.all())


def test_every_slider_has_a_name_a_value_and_answers_the_keyboard(visit: Visit) -> None:
    for figure in figures(visit.page):
        for slider in figure.locator("input[type=range]").all():
            if not slider.is_visible():
                continue
            name = slider.evaluate(
                "(s) => s.ariaLabel ?? document.getElementById(s.getAttribute('aria-labelledby')).textContent"
            )
            assert name, "a slider without a name"
            slider.focus()
            before = float(slider.input_value())
            end = float(slider.get_attribute("max"))
            visit.page.keyboard.press("ArrowUp" if before < end else "ArrowDown")
            after = float(slider.input_value())
            assert after != before, f"{name} does not move"
            text = slider.get_attribute("aria-valuetext")
            # A slider that chooses among numbers says which; all others, their own.
            value = float(slider.get_attribute("data-value") or after)
            said = float(text.replace("−", "-").replace(",", ""))
            assert said == pytest.approx(value, abs=0.051)
            assert_right(figure)
        assert_shown_as_computed(figure)
        press(figure, "Reset")


def press(figure: Locator, label: str) -> None:
    figure.get_by_role("button", name=label).click()


def test_every_slider_can_be_dragged(visit: Visit) -> None:
    mouse = visit.page.mouse
    for figure in figures(visit.page):
        for slider in figure.locator("input[type=range]").all():
            if not slider.is_visible():
                continue
            slider.scroll_into_view_if_needed()
            box = slider.bounding_box()
            is_upright = box["height"] > 40
            low, high = (float(slider.get_attribute(end)) for end in ("min", "max"))
            share, start = 0.7, 0.2
            x, y, width, height = (box[side] for side in ("x", "y", "width", "height"))
            for at, act in ((start, mouse.down), (share, mouse.up)):
                across, down = (0.5, 1 - at) if is_upright else (at, 0.5)
                mouse.move(x + width * across, y + height * down)
                act()
            got = (float(slider.input_value()) - low) / (high - low)
            assert got == pytest.approx(share, abs=0.13)
            assert_right(figure)
        assert_shown_as_computed(figure)
        press(figure, "Reset")


def test_reset_brings_back_the_first_state(visit: Visit) -> None:
    for figure in figures(visit.page):
        first = figure.inner_html()
        slider = figure.locator("input").first
        slider.focus()
        visit.page.keyboard.press("ArrowRight")
        press(figure, "Reset")
        # Only what is spoken may still change.
        spoken = "(f) => f.querySelector('.spoken').textContent = ''"
        figure.evaluate(spoken)
        assert strip(figure.inner_html()) == strip(first)


def strip(html: str) -> str:
    return html.split('<p class="spoken"')[0]


def test_a_surprise_is_right_and_another_each_time(visit: Visit) -> None:
    for figure in figures(visit.page):
        if figure.get_by_role("button", name="Surprise me").count() == 0:
            continue
        seen = []
        for _ in range(3):
            press(figure, "Surprise me")
            assert_right(figure)
            # Not by its name: of few locations the same one may win twice.
            seen.append(str(numbers(figure)))
        assert len(set(seen)) == 3
        press(figure, "Reset")


def test_what_changed_is_told(visit: Visit) -> None:
    for figure in figures(visit.page):
        press(figure, "Reset")
        before = figure.get_attribute("aria-label")
        slider = [
            s for s in figure.locator("input[type=range]").all() if s.is_visible()
        ][-1]
        slider.focus()
        low, here = float(slider.get_attribute("min")), float(slider.input_value())
        visit.page.keyboard.press("Home" if here > low else "End")
        now = figure.get_attribute("aria-label")
        assert now != before, "the name of the figure does not change with its state"
        # Half a second later, and once for a whole drag.
        visit.page.wait_for_function(
            "([figure, name]) => name.endsWith(figure.querySelector('.spoken[role=status]').textContent || '?')",
            arg=[figure.element_handle(), now],
            timeout=5000,
        )
        press(figure, "Reset")


def test_the_walk_through_shows_one_stage_more_each_time(visit: Visit) -> None:
    for figure in figures(visit.page):
        walk = figure.get_by_role("button", name="Step through")
        if walk.count() == 0:
            continue
        stages = figure.locator(".stage")
        button = figure.locator(".buttons button").filter(has_text="Step").last
        seen = []
        for _ in range(stages.count() + 1):
            button.evaluate("(b) => b.click()")
            button = figure.locator(".buttons:last-of-type button").first
            seen.append(sum(stage.is_visible() for stage in stages.all()))
        assert seen == [*range(1, stages.count() + 1), stages.count()]


def test_the_theme_turns_a_figure_at_once(visit: Visit) -> None:
    colour = "() => [...document.querySelectorAll('.ntm-figure .caption strong')].map((c) => getComputedStyle(c).color)"
    light = visit.page.evaluate(colour)
    visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark = visit.page.evaluate(colour)
    visit.page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_a_heat_map_is_as_opaque_as_its_numbers_are_large(visit: Visit) -> None:
    for figure in figures(visit.page):
        label = figure.get_attribute("aria-label")
        if figure.locator("canvas").count() == 0 or "your bits" in label:
            continue
        if "tamper" in label:
            continue
        shown = assert_right(figure)
        maps = dict(
            figure.evaluate(
                """(figure) => [...figure.querySelectorAll("canvas")].map((canvas) => {
                  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                  return [canvas.ariaLabel.split(/[ ,]+/).slice(0, 2).join(" "), [canvas.width, ...data]];
                })"""
            )
        )
        step = int(shown["steps" if "steps" in shown else "step"])
        names = (
            ("shift alone:", "shift then")
            if "again" in label
            else ("write weighting", "read weighting")
        )
        for name, weighting in zip(names, expected(label, shown).values(), strict=True):
            width, *data = maps[name]
            alpha = torch.tensor(data).view(-1, width, 4)[:, step, 3] / 255
            assert float((alpha - weighting).abs().max()) < 0.004, name


def test_paper_shows_the_still_picture(visit: Visit) -> None:
    visit.page.emulate_media(media="print")
    visit.page.wait_for_timeout(50)
    stills = [still.is_visible() for still in visit.page.locator(".is-live img").all()]
    lives = [live.is_visible() for live in visit.page.locator(".live").all()]
    visit.page.emulate_media(media="screen")
    assert stills
    assert all(stills)
    assert not any(lives)


def test_a_page_has_little_javascript_of_its_own(visit: Visit) -> None:
    states = json.loads(parse(visit.name).select_one(STATE).string)["state"]
    sources = [model["state"].get("_esm", "") for model in states.values()]
    for script in ("live.js", "pages.js"):
        assert parse(visit.name).select(f'script[src*="{script}"]'), script
        sources.append((BOOK / "_static" / script).read_text(encoding="utf-8"))
    size = sum(len(source.encode()) for source in sources)
    print(f"{visit.name}: {size / 1000:.0f} kB")
    assert size < KILOBYTES * 1000


def test_nothing_was_complained_about_on_the_way(visit: Visit) -> None:
    assert not visit.complaints
    assert not visit.failures


# By touch, without scripts, and with a state that does not fit.


def test_a_finger_moves_a_bar(browser: Browser) -> None:
    page_name = next(page for page in LIVE_PAGES if "interpolation" in page)
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, offline=True
    )
    page = context.new_page()
    page.goto(f"{BOOK.as_uri()}/{page_name}")
    page.evaluate(READY)
    (figure,) = figures(page)
    bar = figure.locator(".track input").first
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    assert float(bar.input_value()) == pytest.approx(0.75, abs=0.1)
    assert float(assert_right(figure)["previous"].sum()) == pytest.approx(1)
    context.close()


def test_a_trace_plays_and_is_scrubbed(browser: Browser) -> None:
    visit = Visit(browser)
    visit.go(next(page for page in LIVE_PAGES if "heads" in page))
    figure = next(
        f
        for f in figures(visit.page)
        if "trained machine" in (f.get_attribute("aria-label") or "")
    )
    press(figure, "Play")
    visit.page.wait_for_function(
        "() => document.querySelector('.ntm-figure:has(.strips) input').valueAsNumber >= 2"
    )
    press(figure, "Pause")
    film = figure.locator(".strips")
    box = film.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 10)
    assert int(assert_right(figure)["step"]) == 8
    assert not visit.complaints
    visit.context.close()


@pytest.mark.parametrize(
    ("name", "is_there"), [("repeat", True), ("ngrams", False), ("sort", True)]
)
def test_a_trace_goes_to_the_delimiter_where_there_is_one(
    window: Any, name: str, is_there: bool
) -> None:
    page = window(f"book/{name}.html", "light").page
    film = page.locator(".ntm-figure:has(.strips)")
    assert film.get_by_role("button", name="Reset").count() == 1
    assert film.get_by_role("button", name="Delimiter").count() == is_there


@pytest.mark.parametrize("name", ["heads", "repeat", "recall", "ngrams", "sort"])
def test_a_trace_puts_the_memory_of_a_step_together(window: Any, name: str) -> None:
    """It is recorded as the rows that change; the last step has been through them all."""
    page = window(f"book/{name}.html", "light").page
    figure = page.locator(".ntm-figure:has(.strips)")
    figure.locator("input[type=range]").first.press("End")
    width, *data = figure.locator("canvas.held").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.width, ...data];
        }"""
    )
    label = figure.get_attribute("aria-label")
    known = ("recalls", "repeats", "predicts", "sorts")
    trace = recorded(next((word for word in known if word in label), "copies"))
    held, adds = trace.memory[:, 0].abs(), trace.params.change.add_vector.abs()
    opaque = held[-1].mT / max(held.max(), adds.max())
    alpha = torch.tensor(data).view(-1, width, 4)[..., 3] / 255
    assert float((alpha - opaque).abs().max()) < 0.004


def test_the_border_is_drawn_as_python_computes_it(browser: Browser) -> None:
    visit = Visit(browser)
    visit.go("book/far.html")
    (figure,) = figures(visit.page)
    for name in ("γ = 2, ℓ = 0.21", "Level, but not in place", "γ = 2, ℓ = 0.20"):
        press(figure, name)
        drawn = {
            line: [(float(x), -float(y)) for x, y in pairs]
            for line, pairs in figure.evaluate(
                """(figure) => [...figure.querySelectorAll("polyline")].map((line) =>
                  [line.dataset.line, line.getAttribute("points").split(" ").map((pair) => pair.split(","))])"""
            )
        }
        python = bordering(assert_right(figure))
        ratios = python.ratios.tolist()
        web = [(0.0, 0.0)]
        for before, after in pairwise(ratios):
            web += [(before, after), (after, after)]
        wanted = {
            "cobweb": web,
            "due": list(enumerate(python.due.tolist())),
            "largest": list(enumerate(python.film.amax(1).tolist())),
            "here": [(python.leak, python.exponent)] * 2,
            "border": [
                (Border(exponent=exponent).most_leak, exponent)
                for _, exponent in drawn["border"]
            ],
        }
        for line, points in wanted.items():
            assert drawn[line] == [pytest.approx(p, abs=PRECISION) for p in points]
        r = python.leak / (1 - python.leak)
        for x, y in drawn["curve"]:
            assert y == pytest.approx((x + r) ** python.exponent)
        keeps = python.leak <= python.most_leak + PRECISION
        said = "keeps its place" if keeps else "falls behind"
        assert said in figure.get_attribute("aria-label")
    assert keeps, "at exactly one fifth it does"
    visit.context.close()


def test_the_border_fits_a_phone_with_all_that_is_moved(browser: Browser) -> None:
    visit = Visit(browser)
    visit.go("book/far.html")
    with visit.on_a_phone() as page:
        (figure,) = figures(page)
        assert figure.bounding_box()["height"] <= 760
    visit.context.close()


@pytest.fixture(scope="module")
def front(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    visit.go("book/preface.html")
    yield visit
    visit.context.close()


def test_the_front_page_opens_with_the_machine(front: Visit) -> None:
    for width, height in ((1280, 720), (390, 844)):
        front.page.set_viewport_size({"width": width, "height": height})
        tops = {
            part: front.page.locator(f".ntm-figure {part}").bounding_box()
            for part in (".hook", ".buttons", ".bits.bit", ".bits.answer", ".memory")
        }
        for part, box in tops.items():
            assert box["y"] + box["height"] <= height, f"{part} at {width} pixels"


def test_bits_are_set_by_key_by_mouse_and_as_letters(front: Visit) -> None:
    (figure,) = figures(front.page)
    keyboard, mouse = front.page.keyboard, front.page.mouse
    first = assert_right(figure)["bit"]
    figure.locator(".bits.bit [tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowDown", "Space"):
        keyboard.press(key)
    by_key = assert_right(figure)["bit"]
    assert (by_key != first).nonzero().tolist() == [[1, 1]]
    boxes = [
        figure.locator(".bits.bit button").nth(at).bounding_box() for at in (2, 18)
    ]  # the third bits of the first and of the third vector
    for act, box in zip((mouse.down, mouse.up), boxes, strict=True):
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=8)
        act()
    painted = assert_right(figure)["bit"][:3, 2]
    assert painted.tolist() == [1 - float(by_key[0, 2])] * 3
    figure.locator("input[type=text]").fill("Hi")
    while figure.get_by_role("button", name="Step").is_enabled():
        press(figure, "Step")
    shown = assert_right(figure)
    assert shown["bit"].int().tolist() == [
        [int(b) for b in f"{ord(c):08b}"] for c in "Hi"
    ]
    assert shown["step"] == 5
    wrong = int((shown["answer"] != shown["bit"]).sum())
    assert figure.locator(".bits.answer .wrong").count() == wrong
    press(figure, "Back")
    assert assert_right(figure)["step"] == 4
    press(figure, "Reset")
    assert torch.equal(assert_right(figure)["bit"], first)


def test_a_long_copy_runs_beside_the_page_and_can_be_stopped(front: Visit) -> None:
    (figure,) = figures(front.page)
    lengths, _ = figure.locator("input[type=range]").all()
    move = "(s, value) => { s.value = value; s.dispatchEvent(new Event('input')) }"
    at = {value: i for i, value in enumerate(LENGTHS)}
    lengths.evaluate(move, at[10_000])
    press(figure, "Run")
    done = "(least) => document.querySelector('.ntm-figure progress').value > least"
    front.page.wait_for_function(done, arg=0)
    press(figure, "Stop")
    lengths.evaluate(move, at[120])
    press(figure, "Run")
    front.page.wait_for_function(done, arg=0.999)
    said = figure.locator(".status").inner_text()
    assert said.startswith("120 vectors, 128 locations, "), said
    assert said.endswith(("All 960 bits are right.", " vectors.")), said
    press(figure, "Reset")
    assert not front.complaints
    assert all(url.startswith(LOCAL) for url in front.requests)


def test_without_scripts_the_still_picture_stands_there(still: Visit) -> None:
    outputs = still.page.locator(f".cell_output:has({VIEW})")
    assert outputs.count() == len(parse(still.name).select(VIEW))
    assert all(box.locator("img").is_visible() for box in outputs.all())


def without_state(html: str) -> str:
    soup = parse_again(html)
    soup.select_one(STATE).decompose()
    return str(soup)


def changed_state(**values: Any) -> Any:
    def change(html: str) -> str:
        soup = parse_again(html)
        script = soup.select_one(STATE)
        states = json.loads(script.string)
        for model in states["state"].values():
            if "_esm" in model["state"]:
                model["state"] |= values
        script.string = json.dumps(states).replace("</", "<\\/")
        return str(soup)

    return change


def parse_again(html: str) -> Any:
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "html.parser")


DAMAGES = {
    "no state": without_state,
    "no JSON": lambda html: html.replace('"version_major"', '"version_major', 1),
    "another version": changed_state(format=0),
    "no script": changed_state(_esm=None),
    "a broken script": changed_state(
        _esm="export default { render() { throw Error('broken') } }"
    ),
    "no numbers": changed_state(memory=None),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_state_that_does_not_fit_leaves_picture_page_and_a_line(
    browser: Browser, damage: Any
) -> None:
    name = next(page for page in LIVE_PAGES if "content" in page)
    source = (BOOK / name).read_text(encoding="utf-8")
    damaged = damage(source)
    assert damaged != source
    visit = Visit(browser)
    visit.page.route(
        "**/content.html",
        lambda route: route.fulfill(body=damaged, content_type="text/html"),
    )
    visit.go(name)
    visit.page.wait_for_function("document.documentElement.dataset.live")
    line = visit.page.locator(".not-live")
    assert line.count() == 1
    assert line.inner_text().startswith("This figure stays still: ")
    assert visit.page.locator(f".cell_output:has({VIEW}) img").is_visible()
    assert visit.page.locator(".ntm-figure").count() == 0
    assert visit.page.locator("mjx-container").count() > 5, "the page does not go on"
    assert not visit.complaints
    visit.context.close()
