"""Shipped machines do what their cards say."""

import re
from pathlib import Path

import pytest

import ntm
from ntm import pretrained
from ntm.baseline import Baseline
from ntm.fast.compiler import CompiledModels
from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.tasks import Copy
from ntm.training.evaluation import Result, evaluate
from ntm.training.trainer import solved_after

BASELINE = Path(__file__).parent.parent / "book" / "machines" / "copy-baseline"
MACHINES = list(pretrained.available())
MODELS = [*MACHINES, str(BASELINE)]
every_model = pytest.mark.parametrize("name", MODELS, ids=lambda n: Path(n).name)
every_machine = pytest.mark.parametrize("name", MACHINES)


def promised(name: str) -> dict[tuple[int, int | None], Result]:
    rows = [Result.from_json(row) for row in pretrained.available()[name]["results"]]
    return {row.where: row for row in rows}


def test_these_are_shipped_and_the_baseline_is_the_books() -> None:
    assert MACHINES == ["copy-feedforward", "copy-lstm"]
    for name in MACHINES:
        assert isinstance(ntm.load(name), NTM)
    assert isinstance(ntm.load(BASELINE, Baseline), Baseline)
    assert isinstance(ntm.load(BASELINE, Recurrent), Baseline)


def test_what_is_not_there_or_of_another_kind_is_refused_in_a_line() -> None:
    with pytest.raises(
        TypeError, match=r"^kind: got a folder with a Baseline, needs NTM$"
    ):
        ntm.load(BASELINE)
    with pytest.raises(
        ValueError,
        match=r"^name: got 'copy-gru', needs a folder or one of copy-feed.*stm$",
    ):
        ntm.load("copy-gru")


@every_model
def test_a_card_says_all_there_is_to_know(name: str) -> None:
    card = pretrained.stages(name)[-1].card
    assert set(card) - {"first", "workers"} == {
        *("format", "task", "seed", "chosen", "settings", "sequences", "seconds"),
        *("device", "threads", "versions", "commit", "solved", "stopped", "results"),
        *("parameters", "weights_sha256"),
    }
    assert card["seconds"] > 60
    assert re.fullmatch("[0-9a-f]{40}", card["commit"])
    assert card["stopped"] == []


@every_model
def test_the_curves_of_all_seeds_are_there_to_the_end(name: str) -> None:
    for card, rows in pretrained.stages(name):
        for seed in card["settings"]["seeds"]:
            seen = [r.sequences for r in rows if r.seed == seed]
            assert seen[-1] == card["sequences"]
        assert {str(s): n for s, n in solved_after(rows).items()} == card["solved"]


@every_machine
def test_every_seed_was_solved_within_fifty_thousand_sequences(name: str) -> None:
    card, _ = pretrained.stages(name)[0]
    assert len(card["solved"]) == 32
    assert all(n is not None and n <= 50_000 for n in card["solved"].values())


@every_machine
def test_the_first_eight_seeds_stayed_solved_and_nearly_all_others(name: str) -> None:
    card, rows = pretrained.stages(name)[0]
    late = [r for r in rows if r.sequences > card["sequences"] / 2]
    slipped = {r.seed for r in late if r.wrong_bits > 1}
    assert not slipped & set(range(8))
    assert len(slipped) <= (1 if name == "copy-lstm" else 0)


@every_machine
def test_not_one_bit_was_wrong_in_a_thousand_sequences_of_each_length(
    name: str,
) -> None:
    for length in [*range(1, 21), 30, 50, 80, 120]:
        row = promised(name)[length, 128]
        assert (row.sequences, row.wrong_bits, row.exact) == (1000, 0, 1000)


@every_machine
def test_the_card_tells_of_ten_thousand_vectors_without_a_wrong_bit(name: str) -> None:
    for length, locations in ((2000, 4096), (5000, 8192), (10_000, 16_384)):
        assert promised(name)[length, locations].wrong_bits == 0


@every_machine
def test_a_machine_goes_far_in_all_of_a_hundred_sequences(name: str) -> None:
    for length in (500, 1000):
        row = promised(name)[length, 1024]
        assert (row.sequences, row.wrong_bits, row.exact) == (100, 0, 100)


@every_machine
def test_no_seed_tried_was_better_than_the_one_that_was_kept(name: str) -> None:
    trials, kept = pretrained.trials(name), pretrained.available()[name]["seed"]
    assert set(trials) == set(range(32))
    assert len(trials[kept]) == max(map(len, trials.values()))
    wrong = {s: sum(r.wrong_bits for r in rows) for s, rows in trials.items()}
    as_far = [s for s in trials if len(trials[s]) == len(trials[kept])]
    assert wrong[kept] == min(wrong[s] for s in as_far)


@every_machine
@pytest.mark.parametrize("length", [1, 2, 7, 20, 50, 120])
def test_sequences_never_seen_come_out_without_a_wrong_bit(
    name: str, length: int
) -> None:
    result = evaluate(ntm.load(name), Copy(), length, sequences=10, seed=77)
    assert (result.wrong_bits, result.exact) == (0, 10)


@every_machine
@pytest.mark.usefixtures("compiled")
def test_a_compiled_population_finds_the_same_wrong_bits(name: str) -> None:
    """More vectors than locations: many bits are wrong, and all the same ones."""
    model = ntm.load(name).double()
    told = {"size": 40, "sequences": 3, "memory_locations": 24}
    alone = evaluate(model, Copy(), **told)
    assert alone.wrong_bits > 40
    assert evaluate(model, Copy(), **told, fast=CompiledModels(model)) == alone


def test_a_population_of_another_structure_is_refused() -> None:
    lstm, feedforward = (ntm.load(name) for name in ("copy-lstm", MACHINES[0]))
    with pytest.raises(ValueError, match="fast: got a population of another structure"):
        evaluate(feedforward, Copy(), 3, fast=CompiledModels(lstm))


@every_model
def test_a_loaded_model_is_ready_and_not_to_be_trained_by_accident(name: str) -> None:
    model = ntm.load(name, Recurrent)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
