"""Shipped machines do what their cards say."""

import operator
import re
import sys
from pathlib import Path

import pytest
import tiny
import torch
from test_notebooks import ROOT

import ntm
from ntm import pretrained
from ntm.baseline import Baseline
from ntm.fast.compiler import CompiledModels
from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.runs import files, tables, trained
from ntm.tasks import Copy
from ntm.training.evaluation import Result, evaluate
from ntm.training.trainer import solved_after

sys.path.append(str(ROOT / "book" / "_tools"))
import count

BOOK = ROOT / "book"
KEPT = BOOK / "machines"
BASELINE = KEPT / "copy-baseline"
RUNS = [
    path.parent
    for path in [*BOOK.glob("machines/*/*.csv"), *BOOK.glob("recipe/*/*.csv")]
    if path.name == files.CURVE
]
MACHINES = list(pretrained.available())
MODELS = [*MACHINES, str(BASELINE)]
every_model = pytest.mark.parametrize("name", MODELS, ids=lambda n: Path(n).name)
every_kept = pytest.mark.parametrize(
    "name", [name for name in MACHINES if (KEPT / name).is_dir()]
)
COPIERS = [name for name in MACHINES if name.startswith("copy-")]
every_copier = pytest.mark.parametrize("name", COPIERS)


def promised(name: str) -> dict[tuple[int, int | None], Result]:
    rows = [Result.from_json(row) for row in pretrained.available()[name]["results"]]
    return {row.where: row for row in rows}


def test_these_are_shipped_and_the_baseline_is_the_books() -> None:
    names = "copy-feedforward copy-lstm ngrams-lstm recall-lstm repeat-lstm"
    names += " sort-feedforward"
    assert " ".join(MACHINES) == names
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
        match=r"^name: got 'copy-gru', needs a folder or one of copy-feed.*ward$",
    ):
        ntm.load("copy-gru")


@every_model
def test_a_card_says_all_there_is_to_know(name: str) -> None:
    card = files.read_json(pretrained.folder(name) / files.CARD)
    assert set(card) - {"first", "workers", "ntm", "weights"} == {
        *("format", "task", "seed", "chosen", "settings", "sequences", "seconds"),
        *("device", "threads", "versions", "commit", "solved", "stopped", "results"),
        *("parameters", "weights_sha256"),
    }
    assert card["seconds"] > 60
    assert re.fullmatch("[0-9a-f]{40}", card["commit"])
    assert card["stopped"] == []


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_the_curves_of_all_seeds_are_there_to_the_end(folder: Path) -> None:
    for card, rows in pretrained.stages(folder):
        for seed in card["settings"]["seeds"]:
            seen = [r.sequences for r in rows if r.seed == seed]
            assert seen[-1] == card["sequences"]
        assert {str(s): n for s, n in solved_after(rows).items()} == card["solved"]


@every_kept
def test_what_is_shipped_is_in_the_middle_of_the_reported_seeds(name: str) -> None:
    """The order is that of the protocol: sizes of training first, then those beyond."""
    rank, largest = {
        "copy-feedforward": ("16th of 32", "length 20"),
        "copy-lstm": ("16th of 32", "length 20"),
        "ngrams-lstm": ("4th of 8", "length 200"),
        "recall-lstm": ("8th of 16", "items 6"),
        "repeat-lstm": ("8th of 16", "length 10 and repeats 10"),
        "sort-feedforward": ("4th of 8", "vectors 20 and highest 16"),
    }[name]
    card, published = pretrained.available()[name], pretrained.trials(KEPT / name)
    by_chance = name == "ngrams-lstm"
    wrong = {
        seed: [
            sum((r.bits - r.optimum) if by_chance else r.wrong_bits for r in part)
            for part in of_training_and_beyond(name, rows)
        ]
        for seed, rows in published.items()
    }
    order = sorted(wrong, key=lambda seed: (wrong[seed], seed))
    assert card["seed"] == order[len(order) // 2 - 1]
    what = "bits above the optimum" if by_chance else "wrong bits"
    inside, beyond = (
        f"{n:,.1f}" if by_chance else f"{n:,}" for n in wrong[card["seed"]]
    )
    said = f"{rank} seeds by {what}: {inside} up to {largest} and {beyond}"
    assert card["chosen"].startswith(said)
    own = {row.where: row for row in published[card["seed"]]}
    assert promised(name) == own


def of_training_and_beyond(name: str, rows: list[Result]) -> list[list[Result]]:
    largest = {"copy": [20], "ngrams": [200], "recall": [6], "repeat": [10, 10]}
    largest["sort"] = [20, 16]
    most = largest[name.split("-")[0]]
    return [
        [
            r
            for r in rows
            if any(map(operator.gt, r.size.values(), most)) == is_beyond
            and r.where not in count.ASIDE
        ]
        for is_beyond in (False, True)
    ]


@every_kept
def test_its_weights_are_those_of_that_seed(name: str) -> None:
    settings, parameters = count.load(KEPT / name)
    row = settings.seeds.index(pretrained.available()[name]["seed"])
    own = torch.cat([p.flatten() for p in ntm.load(name).parameters()])
    assert torch.equal(own, parameters[row])


@every_kept
def test_its_card_tells_of_the_run(name: str) -> None:
    ours = pretrained.available()[name]
    kept = files.read_json(KEPT / name / files.CARD)
    differs = {key for key in ours if ours[key] != kept.get(key)}
    own = {"seed", "chosen", "results", "weights", "weights_sha256"}
    assert differs - {"ntm"} == own


def test_of_many_seeds_the_one_in_the_middle_is_shipped(tmp_path: Path) -> None:
    """Of equals the lower number is first, and how many they are is said."""
    run = tiny.finished(tmp_path / "run", seeds=(0, 1, 2, 3, 4))
    count.keep(run.folder, tmp_path / "kept")
    wrong = {0: (0, 0), 1: (1, 0), 2: (0, 9), 3: (0, 9), 4: (0, 0)}
    published = {
        seed: [
            Result({"length": n}, 12, 5, w, 0)
            for n, w in zip((3, 4), both, strict=True)
        ]
        for seed, both in wrong.items()
    }
    tables.write_trials(tmp_path / "kept" / files.TRIALS, published)
    count.ship(tmp_path / "kept", tmp_path / "shipped")
    model, _, card = trained.load(tmp_path / "shipped")
    assert card["seed"] == 2
    assert card["chosen"] == (
        "3rd of 5 seeds by wrong bits: 0 up to length 3 and 9 beyond, like 1 others"
    )
    weights = torch.cat([p.flatten() for p in model.parameters()])
    assert torch.equal(weights, run.training.ema[2])


@every_copier
@pytest.mark.parametrize("length", [1, 2, 7, 20, 50, 120])
def test_sequences_never_seen_come_out_without_a_wrong_bit(
    name: str, length: int
) -> None:
    result = evaluate(ntm.load(name), Copy(), length, sequences=10, seed=77)
    assert (result.wrong_bits, result.exact) == (0, 10)


@every_copier
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
