"""The game of the controller as Python plays it: its settings, its rules, its score."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch.testing import assert_close
from traitlets import TraitError

from ntm.addressing import address
from ntm.book import live
from ntm.book.live._controller import BOUNDS, DEFAULTS, VECTORS, WON, WORDS

CHAPTER = Path(__file__).parent.parent / "book" / "address.ipynb"
LEVELS = (1, 2, 3)


def chapter() -> dict[str, Any]:
    """Return what the chapter defines: `copy`, `program` and `recall`."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    names: dict[str, Any] = {"torch": torch, "address": address}
    for start in ("from ntm.memory import", "def program("):
        (source,) = [
            c.source
            for c in cells
            if c.cell_type == "code" and c.source.startswith(start)
        ]
        exec(source, names)
    return names


def programs() -> list[Any]:
    names = chapter()
    return [names["program"](), names["program"](), names["recall"]()]


def test_the_chapters_programs_win_every_level() -> None:
    game = live.Controller(programs=programs())
    for level, program in zip(LEVELS, game.programs, strict=True):
        game.level, game.settings = level, program
        assert game.won
        assert game.score == 32
        assert game.changes <= 5


def test_the_program_is_the_chapters_copy_step_by_step() -> None:
    names = chapter()
    game = live.Controller(settings=names["program"]())
    sequence = torch.tensor([[float(bit) for bit in word] for word in WORDS])
    answer, trace = names["copy"](sequence, locations=8)
    assert_close(game.weightings.float(), trace, atol=1e-5, rtol=0)
    assert_close(game.answer.float(), answer, atol=1e-5, rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_settings_that_nobody_made_do_not_win(level: int) -> None:
    game = live.Controller(level=level)
    assert game.settings == [DEFAULTS] * 9
    assert game.score < 20
    assert not game.won


def test_a_sixth_change_loses_the_second_level_and_not_the_first() -> None:
    game = live.Controller(settings=chapter()["program"]())
    six = [dict(step) for step in game.settings]
    for step in six[7:]:
        step["strength"] = 31
    game.settings = six
    assert game.changes == 6
    assert (game.score, game.won) == (32, True)
    game.level = 2
    assert (game.score, game.won) == (32, False)


def test_a_setting_stays_until_it_is_changed() -> None:
    game = live.Controller(settings=[{"gate": 1}, {}, {"erase": 0.5}, {"gate": 0}])
    assert [s["gate"] for s in game.settings] == [1.0] * 3 + [0.0] * 6
    assert [s["erase"] for s in game.settings] == [0.0] * 2 + [0.5] * 7
    assert [s["add"] for s in game.settings] == [0.0] * 9
    assert game.changes == 2


def test_settings_go_to_the_browser_and_come_back() -> None:
    game, names = live.Controller(), []
    game.observe(lambda change: names.append(change["name"]))
    game.settings = [{"kernel": torch.tensor([0.25, 0.5, 0.25]), "key": "input"}]
    game.level, game.step = 3, 8
    assert names == ["settings", "level", "step"]
    sent = json.loads(json.dumps(game.get_state(["settings", "level", "step"])))
    other = live.Controller()
    other.set_state(sent)
    assert other.settings == game.settings
    assert (other.level, other.step) == (3, 8)
    assert torch.equal(other.weightings, game.weightings)
    assert torch.equal(other.memory, game.run[8].memory)
    sent["settings"][4]["gate"] = 1
    other.set_state(sent)
    assert other.settings[4]["gate"] == 1.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "settings: got {}, needs a list of at most 9 dictionaries"),
        ([{}] * 10, "needs a list of at most 9 dictionaries"),
        (["on"], "settings: got 'on', needs a dictionary of key, strength, gate"),
        ([{"speed": 1}], "needs a dictionary of key, strength, gate"),
        ([{"gate": 1.5}], "gate: got 1.5, needs a number from 0 to 1"),
        ([{"gate": "much"}], "gate: got 'much', needs a number from 0 to 1"),
        ([{"gate": float("nan")}], "gate: got nan, needs a number from 0 to 1"),
        ([{"exponent": 0}], "exponent: got 0, needs a number from 1 to 20"),
        ([{"kernel": [1, 1, 0]}], "kernel: got [1, 1, 0], needs three numbers"),
        ([{"kernel": "on"}], "kernel: got 'on', needs three numbers that sum to 1"),
        ([{"key": "mark"}], "needs one of start mark, input, last read"),
    ],
)
def test_impossible_settings_are_refused_with_what_is_possible(
    settings: Any, said: str
) -> None:
    game = live.Controller()
    with pytest.raises(TraitError) as refused:
        game.settings = settings
    assert said in str(refused.value)
    assert game.settings == [DEFAULTS] * 9


def test_what_is_due_is_what_came_in_or_what_followed_it() -> None:
    levels = json.loads(live.Controller().game)["levels"]
    stored = ["the start mark", *VECTORS]
    for level in levels:
        assert [step["given"] for step in level["steps"][:5]] == stored
        assert {step["due"] for step in level["steps"][:5]} == {None}
    for level in levels[:2]:
        assert [step["due"] for step in level["steps"][5:]] == VECTORS
        assert {step["given"] for step in level["steps"][5:]} == {None}
    for step in levels[2]["steps"][5:]:
        assert stored.index(step["due"]) == stored.index(step["given"]) + 1


def test_every_setting_that_is_a_number_has_bounds() -> None:
    assert set(BOUNDS) == {n for n, v in DEFAULTS.items() if isinstance(v, float)}


def test_its_still_picture_is_of_a_game_that_is_won() -> None:
    assert live.Controller(settings=WON).won
    assert live.Controller(settings=WON, level=2).won
