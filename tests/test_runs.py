"""Runs on disk: killed at any moment they go on, and whatever is damaged is said in one line."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from ntm.cli import main
from ntm.runs import files, tables, trained
from ntm.runs.files import CARD, CURVE, FolderError
from ntm.runs.folder import CHECKPOINT, SETTINGS, remove_unlearned
from ntm.runs.out_of_memory import TooManySeedsError
from ntm.runs.run import Run
from ntm.training.evaluation import evaluate
from ntm.training.trainer import Trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    tiny.finished(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def resumed(folder: Path) -> Run:
    run = Run.resume(folder, compiled=False)
    for _ in run:
        pass
    return run


# Stopped and going on.


@pytest.mark.parametrize("evaluations", [0, 1, 3])
def test_an_interrupted_run_ends_with_the_same_bits(
    whole: Path, tmp_path: Path, evaluations: int
) -> None:
    run = Run.start(tmp_path / "run", tiny.short(), compiled=False)
    rows = iter(run)
    for _ in range(evaluations):
        next(rows)
    run.training.update()  # lost with the process
    rows.close()  # as its lock is
    resumed(tmp_path / "run")
    assert tiny.checkpoint(tmp_path / "run") == tiny.checkpoint(whole)
    for name in (tiny.weights(whole).name, CURVE):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_killed_by_force_it_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    settings = (
        "--eager --threads 1 --seeds 0:2 --sequences 60 --batch-size 2 "
        "--evaluate-every 2 --evaluation-sequences 5 --task.longest 3 "
        "--memory-locations 12 --memory-width 4 --controller-size 6"
    )
    train = ["train", "copy", *settings.split(), "--out"]
    assert main([*train, str(tmp_path / "a")]) == 0
    command = [sys.executable, "-m", "ntm", *train, str(tmp_path / "b")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as b:
        while not (tmp_path / "b" / CHECKPOINT).exists():
            assert b.poll() is None
            time.sleep(0.005)
        time.sleep(0.02)
        os.kill(b.pid, signal.SIGKILL)
    assert not (tmp_path / "b" / CARD).exists()
    assert main(["resume", str(tmp_path / "b"), "--eager", "--threads", "1"]) == 0
    assert tiny.checkpoint(tmp_path / "a") == tiny.checkpoint(tmp_path / "b")
    for name in (tiny.weights(tmp_path / "a").name, CURVE):
        a, b_ = (tmp_path / run / name for run in "ab")
        assert a.read_bytes() == b_.read_bytes()


def test_a_line_of_the_curve_that_was_cut_off_is_written_again(copied: Path) -> None:
    expected = (copied / CURVE).read_bytes()
    with (copied / CURVE).open("ab") as file:
        file.write(b"0,28,3.14")
    resumed(copied)
    assert (copied / CURVE).read_bytes() == expected


def test_a_finished_run_that_is_resumed_stays_as_it_is(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    resumed(copied)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_two_processes_do_not_write_to_one_folder(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    command = [sys.executable, "-m", "ntm", "resume", copied, "--eager"]
    with files.locked(copied):
        second = subprocess.run(command, capture_output=True, text=True)
        assert {n: (copied / n).read_bytes() for n in before} == before
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].endswith(
            f"{copied}: another process is writing to it"
        )
        with pytest.raises(FolderError, match="another process"):
            Run.resume(copied, compiled=False).select_seed([])  # nor does this one
    assert main(["resume", str(copied), "--eager"]) == 0


def test_a_killed_process_keeps_nobody_out(copied: Path) -> None:
    (copied / files.LOCK).touch()
    resumed(copied)


def test_the_stopped_seeds_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.start(tmp_path / "run", tiny.short(), compiled=False)
    draw = run.training.next_batches

    def poisoned(*arguments: Any) -> Any:
        batches = draw(*arguments)
        batches[2].inputs[:] = float("inf")
        return batches

    monkeypatch.setattr(run.training, "next_batches", poisoned)
    next(iter(run))
    assert [row.seed for row in run.training.stopped] == [2]
    again = resumed(tmp_path / "run")
    assert again.training.stopped == run.training.stopped
    card = files.read_json(tmp_path / "run" / CARD)
    assert card["stopped"][0]["seed"] == 2
    assert trained.load(tmp_path / "run").model is not None


# Going on from a finished run with other settings.


def test_a_run_goes_on_from_the_machines_of_another(
    whole: Path, tmp_path: Path
) -> None:
    tight = tiny.short(memory_locations=9, sequences=8)
    run = Run.start(tmp_path / "x", tight, compiled=False, init_from=whole)
    before = files.read_tensors(whole / CHECKPOINT)
    assert torch.equal(run.training.parameters, before["ema"])
    assert torch.equal(run.training.data_rngs[1].get_state(), before["data_rngs"][1])
    assert run.training.sequences == 0
    resumed(tmp_path / "x")
    card = trained.load(tmp_path / "x").card
    assert card["first"] == files.read_json(whole / CARD)
    assert (card["sequences"], card["settings"]["memory_locations"]) == (8, 9)
    first_curve = (tmp_path / "x" / "first.csv").read_bytes()
    assert first_curve == (whole / CURVE).read_bytes()
    after = files.read_tensors(tmp_path / "x" / CHECKPOINT)
    assert not torch.equal(after["ema"], before["ema"])


@pytest.mark.parametrize(
    "changes",
    [{"seeds": (0, 1)}, {"controller_size": 7}, {"forward_bias": 3.0}],
    ids=str,
)
def test_a_first_run_that_does_not_fit_is_refused(
    whole: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(FolderError, match="does not fit this run"):
        Run.start(
            tmp_path / "x", tiny.short(**changes), compiled=False, init_from=whole
        )


# What a run leaves behind.


def test_a_folder_holds_what_the_design_says(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()} - {files.LOCK}
    weights = tiny.weights(whole).name
    assert names == {weights, CARD, CURVE, CHECKPOINT, SETTINGS, files.TRIALS}
    model, settings, card = trained.load(whole)
    assert settings == tiny.short()
    assert card["parameters"] == sum(p.numel() for p in model.parameters())
    assert card["sequences"] == 24
    assert card["seconds"] > 0
    assert card["device"]
    assert card["versions"]["torch"] == torch.__version__
    assert set(card["solved"]) == {"0", "1", "2"}
    assert [row["length"] for row in card["results"]] == [3, 4]
    assert card["chosen"].startswith("of 3 seeds the one with the lowest error")


def test_the_machine_kept_is_the_one_with_the_lowest_error_rate(whole: Path) -> None:
    card = files.read_json(whole / CARD)
    run = Run.resume(whole, compiled=False)
    kept = dict(trained.load(whole).model.named_parameters())
    mine = dict(run.machine(card["seed"]).named_parameters())
    assert all(torch.equal(kept[name], mine[name]) for name in kept)
    totals = dict.fromkeys((0, 1, 2), 0.0)
    for seed, length in itertools.product(totals, (3, 4)):
        result = evaluate(run.machine(seed), run.training.task, length)
        totals[seed] += result.wrong_bits / length
    assert totals[card["seed"]] == min(totals.values())
    assert len(set(totals.values())) > 1


def test_the_curve_has_a_row_for_each_seed_and_evaluation(whole: Path) -> None:
    rows = tables.read_curve(whole / CURVE)
    header, first, *_ = (whole / CURVE).read_text().splitlines()
    assert header == "seed,sequences,bits,wrong_bits,optimum"
    assert first.endswith(",")  # of copying there is none
    assert [(r.seed, r.sequences) for r in rows] == [
        (seed, sequences) for sequences in range(4, 25, 4) for seed in (0, 1, 2)
    ]


def test_nothing_in_a_run_is_pickled(whole: Path) -> None:
    for path in whole.iterdir():
        if path.name == files.LOCK:
            assert path.read_bytes() == b""
            continue
        assert path.suffix in {".safetensors", ".json", ".csv"}
        assert not path.read_bytes().startswith((b"PK", b"\x80"))


# A disk that is full.


@pytest.mark.parametrize("after", [0, 100])
def test_a_full_disk_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, whole: Path
) -> None:
    run = Run.start(tmp_path / "run", tiny.short(), compiled=False)
    rows = iter(run)
    next(rows)
    good = tiny.checkpoint(tmp_path / "run")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:after])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        message = rf"{CHECKPOINT}: could not be written: No space left on device$"
        with pytest.raises(FolderError, match=message):
            next(rows)
    assert tiny.checkpoint(tmp_path / "run") == good
    assert not list((tmp_path / "run").glob("*.part"))
    resumed(tmp_path / "run")
    assert tiny.checkpoint(tmp_path / "run") == tiny.checkpoint(whole)


# Folders and files that do not fit.


def test_a_folder_that_holds_another_run_is_left_alone(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with pytest.raises(FolderError, match="holds another run; resume that run or"):
        Run.start(copied, tiny.short(), compiled=False)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FolderError, match="holds other files"):
        Run.start(tmp_path, tiny.short(), compiled=False)


@pytest.mark.parametrize("keep", [0, 5, 200, -1], ids=str)
@pytest.mark.parametrize("what", ["weights", CHECKPOINT])
def test_a_truncated_file_is_refused(copied: Path, what: str, keep: int) -> None:
    name = tiny.weights(copied).name if what == "weights" else what
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[:keep])
    with pytest.raises(FolderError, match=rf"{name}: .*") as caught:
        trained.load(copied) if what == "weights" else resumed(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", [-1, -700, 30])
def test_a_weight_file_that_was_changed_is_refused(copied: Path, where: int) -> None:
    path = tiny.weights(copied)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FolderError, match=path.name):
        trained.load(copied)


def changed(**values: Any) -> Any:
    return lambda card: card | values


def changed_setting(**values: Any) -> Any:
    return lambda card: card | {"settings": card["settings"] | values}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            changed_setting(controller_size=7),
            "does not fit card.json: controller.initial_hidden is",
        ),
        (
            changed_setting(controller="feedforward"),
            "controller.gates.0.bias is unknown",
        ),
        (changed_setting(num_heads=0), "card.json: num_heads: got 0, needs at least 1"),
        (
            changed_setting(task="dance"),
            "card.json: task: got 'dance', needs one of ",
        ),
        (changed(settings=3), "card.json: settings: got int, needs an object"),
        (changed(seed=9), "card.json: seed 9 is not one of the run's"),
        (changed(format="2"), "card.json: format: got '2', needs a number from 1 on"),
        (changed(weights="../x"), "card.json: weights: got '../x', needs the name of"),
        (changed(results=3), "card.json: results: needs a list of objects"),
        (changed(parameters=3), "card.json: parameters: 3 is not their number"),
        (changed(weights_sha256="0"), "was changed: its SHA-256 is not the card's"),
        (lambda card: {}, "card.json: settings is missing"),
        (lambda card: [card], "card.json: holds no object"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    copied: Path, change: Any, message: str
) -> None:
    card = json.loads((copied / CARD).read_text())
    (copied / CARD).write_text(json.dumps(change(card)))
    with pytest.raises(FolderError) as caught:
        trained.load(copied)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(copied: Path) -> None:
    weights: dict[str, Tensor] = files.read_tensors(tiny.weights(copied))
    weights["output.bias"] = weights["output.bias"] * float("nan")
    trained.save(copied, weights, files.read_json(copied / CARD))
    with pytest.raises(
        FolderError, match=r"output\.bias holds numbers that are not fin"
    ):
        trained.load(copied)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"seeds": 1}', "\x00"])
def test_settings_that_are_damaged_are_refused(copied: Path, text: str) -> None:
    (copied / SETTINGS).write_text(text)
    with pytest.raises(FolderError, match=SETTINGS):
        Run.resume(copied, compiled=False)


def test_a_checkpoint_of_another_run_is_refused(copied: Path) -> None:
    other = Trainer(tiny.short(seeds=(0,)), compiled=False)
    files.write_checkpoint(copied / CHECKPOINT, other.state_dict(), {})
    with pytest.raises(
        FolderError, match=r"does not fit the run: parameters: got \(1,"
    ):
        Run.resume(copied, compiled=False)


def test_a_curve_that_is_damaged_is_refused(copied: Path) -> None:
    (copied / CURVE).write_text("seed,sequences,bits,wrong_bits\n1,2,x,4\n")
    with pytest.raises(FolderError, match=r"curve\.csv: line 2 is damaged"):
        Run.resume(copied, compiled=False)


@pytest.mark.parametrize("what", ["weights", CARD])
def test_a_missing_file_is_named(copied: Path, what: str) -> None:
    path = tiny.weights(copied) if what == "weights" else copied / what
    path.unlink()
    with pytest.raises(FolderError, match=f"{path.name}: No such file or directory"):
        trained.load(copied)


# Memory that runs out.

SHORTAGES = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "cpu": lambda: torch.empty(2**58),
    "other": lambda: torch.zeros(2).view(3),
}


@pytest.mark.parametrize("what", SHORTAGES)
def test_when_memory_runs_out_fewer_seeds_are_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = Run.start(tmp_path / "x", tiny.short(), compiled=False)

    def update() -> None:
        raise SHORTAGES[what]()

    monkeypatch.setattr(run.training, "update", update)
    proposed = r"^seeds: got 3, does not fit in memory; try fewer \(--seeds 0:1\)$"
    with pytest.raises(
        RuntimeError if what == "other" else TooManySeedsError,
        match="shape" if what == "other" else proposed,
    ):
        next(iter(run))


def test_a_run_goes_when_it_has_learned_nothing_and_stays_when_it_has(
    copied: Path, tmp_path: Path
) -> None:
    before = set(copied.iterdir())
    remove_unlearned(copied)
    assert set(copied.iterdir()) == before
    Run.start(tmp_path / "x", tiny.short(), compiled=False)
    remove_unlearned(tmp_path / "x")
    assert not (tmp_path / "x").exists()
