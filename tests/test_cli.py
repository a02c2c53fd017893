"""The command line: one line and an exit code for what cannot be done, JSON for what can."""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import nn

import ntm
from ntm import cli
from ntm.cli import main
from ntm.machine import NTM
from ntm.runs import files, tables, trained
from ntm.tasks import Batch, Copy, NGrams, RepeatCopy
from ntm.training import evaluation
from ntm.training.evaluation import evaluate
from ntm.training.trainer import Trainer
from ntm.training.transcript import transcript


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "x"
    tiny.finished(folder)
    return folder


SMALL = (
    "--eager --sequences 8 --batch-size 2 --evaluate-every 4 --evaluation-sequences 2"
)


def train(folder: Path, *options: str) -> int:
    small = ["--memory-locations", "12", "--controller-size", "6"]
    small += ["--task.longest", "3"]
    return main(
        ["train", "copy", "--out", str(folder), *SMALL.split(), *small, *options]
    )


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """The one line that is said when these arguments are given."""
    with pytest.raises(SystemExit) as left:
        sys.exit(main([str(argument) for argument in arguments]))
    assert left.value.code == code
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def test_train_says_a_line_a_row_and_keeps_the_best_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "x", "--seeds", "0:2", "--controller", "feedforward") == 0
    said = capsys.readouterr()
    assert re.fullmatch(
        r"(\d+ sequences: [\d.]+ bits, 0/2 solved, \d+ s left\n){2}", said.err
    )
    assert re.search(r"x: seed [01] is kept\n$", said.out)
    _, settings, card = trained.load(tmp_path / "x")
    assert settings.seeds == (0, 1)
    assert settings.controller == "feedforward"
    assert card["sequences"] == 8


def test_resume_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "x") == 0
    assert main(["resume", str(tmp_path / "x"), "--eager"]) == 0
    assert capsys.readouterr().out.count("seed 0 is kept") == 2


def test_the_baseline_is_trained_by_the_same_command(tmp_path: Path) -> None:
    size = ["--baseline-size", "6"]
    assert train(tmp_path / "x", "--model", "baseline", *size) == 0
    assert main(["evaluate", str(tmp_path / "x"), "--length", "3"]) == 0


def test_a_task_of_two_numbers_goes_the_whole_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained with options of its own, tried, chosen and drawn by the same commands."""
    pytest.importorskip("matplotlib")
    folder = str(tmp_path / "x")
    small = "--memory-locations 12 --controller-size 6 --seeds 0:2 --task.longest 3"
    given = [*SMALL.split(), *small.split(), "--task.most-repeats", "4"]
    assert main(["train", "repeat-copy", "--out", folder, *given]) == 0
    card = trained.load(Path(folder)).card
    assert card["settings"]["task_options"] == {
        "bits": 8,
        "longest": 3,
        "most_repeats": 4,
        "end_marker": True,
        "biased_share": 0.5,
        "so_far": 0,
    }
    assert "sequences of length 3 to 6 and repeats 4 to 8" in card["chosen"]
    capsys.readouterr()

    options = "--length 1 2 --repeats 3 --sequences 5 --json"
    assert main(["evaluate", folder, *options.split()]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(row["length"], row["repeats"]) for row in results] == [(1, 3), (2, 3)]
    assert main(["select", folder, "--repeats", "5", "--sequences", "5"]) == 0
    assert re.search(r"seed 0: wrong bits .*, \d+ at 3 × 5\n", capsys.readouterr().out)
    assert main(["evaluate", folder, "--sequences", "2", "--save"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["length", "repeats"]
    assert main(["show", folder, "--length", "2", "--repeats", "1"]) == 0


@pytest.mark.parametrize(
    ("name", "options", "impossible", "sizes"),
    [
        (
            "associative-recall",
            "--task.most-items 3 --task.bits 4",
            ("--task.fewest-items 0", "fewest_items: got 0, needs at least 2"),
            {"items": [2, 5]},
        ),
        (
            "n-grams",
            "--task.length 8 --task.context 2",
            ("--task.context 11", "context: got 11, needs at most 10"),
            {"length": [4, 9]},
        ),
        (
            "priority-sort",
            "--task.vectors 4 --task.highest 2 --task.delimiter true",
            ("--task.highest 21", "highest: got 21, needs at most 20"),
            {"vectors": [3, 5], "highest": [1]},
        ),
    ],
)
def test_a_task_is_trained_tried_and_drawn_by_its_name(
    name: str,
    options: str,
    impossible: tuple[str, str],
    sizes: dict[str, list[int]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    folder = str(tmp_path / "x")
    small = "--memory-locations 9 --controller-size 6"
    few = ("train", name, "--out", folder, *SMALL.split(), *small.split())
    option, message = impossible
    assert refused(capsys, 1, *few, *option.split()).startswith(f"ntm: {message}")
    assert not Path(folder).exists()
    assert main([*few, *options.split()]) == 0
    capsys.readouterr()

    first, *others = sizes
    given = [w for k, v in sizes.items() for w in (f"--{k}", *map(str, v))]
    assert main(["evaluate", folder, *given, "--sequences", "2", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [row[first] for row in results] == sizes[first]
    assert [row[k] for k in others for row in results] == [1] * 2 * len(others)
    assert main(["show", folder, f"--{first}", str(sizes[first][0])]) == 0
    assert main(["select", folder, "--sequences", "2"]) == 0
    printed = capsys.readouterr().out
    assert ("above the optimum" in printed) == (name == "n-grams")
    (rows,) = tables.read_trials(Path(folder) / files.TRIALS).values()
    assert all((row.optimum is None) == (name != "n-grams") for row in rows)
    assert main(["evaluate", folder, "--sequences", "2", "--save"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header[len(sizes) :] == [
        *["locations", "sequences", "wrong", "bits", "exact", "bits"],
        *["optimum"] * (name == "n-grams"),
    ]
    refused(capsys, 1, "evaluate", folder, f"--{first}", 1)


def test_an_option_or_a_size_of_another_task_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ("train", "copy", "--out", tmp_path / "x")
    said = refused(capsys, 1, *train, "--task.most-repeats", 4)
    assert "task.most_repeats: is unknown to copy" in said
    said = refused(capsys, 1, *train, "--task.longest", "far")
    assert "task.longest: got 'far', needs a number" in said
    assert not (tmp_path / "x").exists()
    said = refused(capsys, 1, "evaluate", run, "--repeats", 3)
    assert "repeats: sequences of copy have none, only length" in said


def test_evaluate_prints_one_json_object(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--length 3 5 --memory-locations 40 --sequences 7 --data-seed 2 --json"
    assert main(["evaluate", str(run), *options.split()]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    model = trained.load(run).model
    for row, length in zip(results, (3, 5), strict=True):
        expected = evaluate(model, Copy(), length, 7, seed=2, memory_locations=40)
        assert row == expected.to_json()
        assert (row["length"], row["memory_locations"]) == (length, 40)


def test_evaluate_prints_a_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--length", "3", "--sequences", "4"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "length",
        "locations",
        "sequences",
        "wrong",
        "bits",
        "exact",
        "bits",
    ]
    assert row.split()[:3] == ["3", "12", "4"]


def test_evaluate_can_add_results_to_the_card(tmp_path: Path) -> None:
    tiny.finished(tmp_path / "x")
    options = ["--length", "2", "3", "--sequences", "5", "--save"]
    assert main(["evaluate", str(tmp_path / "x"), *options]) == 0
    rows = trained.load(tmp_path / "x").card["results"]
    assert [(r["length"], r["sequences"]) for r in rows] == [(2, 5), (3, 5), (4, 100)]


def test_select_keeps_the_seed_that_does_best_at_what_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.finished(tmp_path / "x")
    options = "--length 1 2 --memory-locations 9 --sequences 5"
    assert main(["select", str(tmp_path / "x"), *options.split()]) == 0
    *seeds, kept = capsys.readouterr().out.splitlines()
    sequences = {3: 100, 4: 100, 1: 5, 2: 5}
    rates = {
        int(line.split()[1].rstrip(":")): sum(
            int(wrong) / (8 * int(length) * sequences[int(length)])
            for wrong, length in re.findall(r"(\d+) at (\d+)", line)
        )
        for line in seeds
    }
    best = trained.load(tmp_path / "x").card
    assert rates[best["seed"]] == min(rates.values())
    assert kept.endswith(f"seed {best['seed']} is kept")
    # Two lengths in the run's own trials, of 100 sequences each, and the two asked for.
    assert "of 3 on 210 sequences of length 1 to 4: " in best["chosen"]
    trials = tables.read_trials(tmp_path / "x" / files.TRIALS)
    assert [[r.size["length"] for r in results] for results in trials.values()] == [
        [3, 4, 1, 2]
    ] * 3


def test_select_goes_no_further_with_a_seed_that_fails(tmp_path: Path) -> None:
    tiny.finished(tmp_path / "x")
    options = "--length 5 6 --memory-locations 21 --sequences 2 --give-up 0.01"
    assert main(["select", str(tmp_path / "x"), *options.split()]) == 0
    trials = tables.read_trials(tmp_path / "x" / files.TRIALS)
    # Untrained, all of them fail at 5, and no longer one has more locations per vector.
    assert [[r.size["length"] for r in results] for results in trials.values()] == [
        [3, 4, 5]
    ] * 3


def test_select_tries_the_seeds_that_are_named_and_replaces_what_was_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.finished(tmp_path / "x")
    folder = str(tmp_path / "x")
    rows = tables.read_trials(tmp_path / "x" / files.TRIALS)
    kept = min(rows, key=lambda seed: rows[seed][1].wrong_bits)
    options = ["--length", "1", "3", "--sequences", "7", "--seeds", "1"]
    assert main(["select", folder, *options]) == 0
    trials = tables.read_trials(tmp_path / "x" / files.TRIALS)
    assert [(r.size["length"], r.sequences) for r in trials[0]] == [
        (3, 100),
        (4, 100),
    ]
    assert [(r.size["length"], r.sequences) for r in trials[1]] == [
        (4, 100),
        (1, 7),
        (3, 7),
    ]
    assert trained.load(tmp_path / "x").card["seed"] == kept  # at length 4, as before
    said = refused(capsys, 1, "select", folder, "--length", 3, "--seeds", "9")
    assert "seeds: got 9, needs one of the run's" in said


def test_what_takes_long_is_compiled_and_comes_to_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    compiled: list[str],
) -> None:
    tiny.finished(tmp_path / "x")
    commands = (
        ["evaluate", str(tmp_path / "x"), "--length", "1", "2", "--sequences", "4"],
        ["select", str(tmp_path / "x"), "--length", "1", "2", "--sequences", "4"],
    )
    for command in commands:
        monkeypatch.setattr(evaluation, "LONG", math.inf)
        assert main(command) == 0
        expected = capsys.readouterr().out
        assert not compiled
        monkeypatch.setattr(evaluation, "LONG", 0)
        assert main([*command, "--eager"]) == 0
        assert capsys.readouterr().out == expected
        assert not compiled
        assert main(command) == 0
        assert capsys.readouterr().out == expected
        assert compiled == ["_all_forward"]  # once for all lengths and all seeds
        compiled.clear()


def test_without_a_c_compiler_it_says_how_to_do_without(tmp_path: Path) -> None:
    """In a process of its own: PyTorch looks for compilers once, and keeps its code."""
    tiny.finished(tmp_path / "x")
    command = ["select", str(tmp_path / "x"), "--length", "5000", "--sequences", "60"]
    nothing = {"CXX": "/nowhere", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "ntm", *command],
        env=os.environ | nothing,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("ntm: PyTorch found no C++ compiler")
    assert "--eager" in said


def test_a_damaged_file_of_trials_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.finished(tmp_path / "x")
    (tmp_path / "x" / files.TRIALS).write_text("seed,length\n0,many\n")
    said = refused(capsys, 1, "select", tmp_path / "x", "--length", 5)
    assert "trials.csv: is damaged" in said


def test_show_draws_pictures(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["show", str(run), "--out", str(tmp_path), "--length", "4"]) == 0
    for name in ("curve.png", "sequence.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_training_says_what_it_costs_above_the_optimum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (
        "--seeds 0:2 --sequences 8 --batch-size 2 --evaluate-every 4 --eager "
        "--evaluation-sequences 3 --memory-locations 3 --memory-width 2 "
        "--controller-size 2"
    )
    tasks = {"n-grams": "--task.context 1 --task.length 6", "copy": "--task.longest 2"}
    for name, options in tasks.items():
        command = f"train {name} --out {tmp_path / name} {options} {small}"
        assert main(command.split()) == 0
        said = capsys.readouterr().err.splitlines()[0]
        above = r" \(\d+\.\d\d above the optimum\)" if name == "n-grams" else ""
        assert re.match(rf"4 sequences: \d+\.\d\d bits{above}, 0/2 solved", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "dance", "--out", "x"], "'dance' \\(choose from"),
        (["train", "copy"], "required: --out"),
        (["train", "copy", "--out", "x", "--controller", "gru"], "choice: 'gru'"),
        (["train", "copy", "--out", "x", "--model", "gru"], "invalid choice: 'gru'"),
        (
            ["train", "copy", "--out", "x", "--num-heads", "two"],
            "invalid int value: 'two'",
        ),
        (["train", "copy", "--out", "x", "--device", "tpu"], "there is no tpu here"),
        (
            ["train", "copy", "--out", "x", "--seeds", "8:"],
            "got '8:', needs seeds such as 0:16",
        ),
        (["dance"], "invalid choice: 'dance'"),
        ([], "required: command"),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(said, refused(capsys, 2, *arguments))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--memory-locations 0", "memory_locations: got 0, needs at least 1"),
        ("--memory-locations 2", "memory_locations: got 2, needs at least 3"),
        ("--seeds 5:5", "seeds: got (), needs one or more"),
        ("--sequences 0", "sequences: got 0, needs at least 1"),
        ("--threads 0", "threads: got 0, needs at least 1"),
        ("--learning-rate -1", "learning_rate: got -1.0, needs more than 0"),
        ("--evaluate-every 7", "evaluate_every: got 7, needs a multiple"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_in_one_line(
    options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    arguments = ["train", "copy", "--out", out, *options.split()]
    assert said in refused(capsys, 1, *arguments)
    assert not (out / "settings.json").exists()


def test_what_is_not_there_or_not_finished_is_said_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, 1, "evaluate", "copies")
    assert said.startswith("ntm: name: got 'copies', needs a folder or one of copy-f")
    assert "No such file" in refused(capsys, 1, "resume", tmp_path / "none")
    assert "holds another run" in refused(capsys, 1, "train", "copy", "--out", run)
    assert "resume its run first" in refused(capsys, 1, "evaluate", tmp_path)
    assert "length: got 0" in refused(
        capsys, 1, "evaluate", run, "--length", 0, "--json"
    )
    for command in ("evaluate", "select"):
        none = ("--length", 3, "--memory-locations", 0)
        said = refused(capsys, 1, command, run, *none)
        assert "memory_locations: got 0, needs at least 1" in said
    few = ("--memory-locations", 2)
    assert "got 2, needs" in refused(capsys, 1, "evaluate", run, *few, "--json")


def test_of_a_shipped_model_and_a_folder_of_its_name_the_model_is_meant(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a command and by `ntm.load`; ``./`` means the folder in both."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy-lstm").symlink_to(run)
    for name, locations in (("copy-lstm", 128), ("./copy-lstm", 12)):
        assert ntm.load(name).memory_locations == locations
        model = cli._open(name)[1].model
        assert isinstance(model, NTM)
        assert model.memory_locations == locations


@pytest.mark.parametrize(
    ("command", "part"),
    [("bench", "ntm.fast.bench"), ("show copy-lstm", "ntm.book.run_figures")],
)
def test_a_command_that_needs_a_part_that_is_not_there_says_so_in_one_line(
    command: str,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, part, None)
    said = refused(capsys, 1, *command.split())
    name = command.split()[0]
    assert said == f"ntm: {name}: needs {part}; install it first\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without a GPU")
def test_a_gpu_that_is_not_there_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(
        capsys, 2, "train", "copy", "--out", tmp_path / "x", "--device", "cuda"
    )
    assert said == "ntm: device: there is no cuda here\n"


def every_option() -> list[tuple[str, argparse.Action]]:
    parsers = cli._parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    return [
        (f"{name} {option.option_strings or option.dest}", option)
        for name, parser in parsers.items()  # type: ignore[union-attr]
        for option in parser._actions
    ]


UNITS = r"(sequence|vector|location|unit|layer|head|thread|number|share|times|norm|factor|channel|bit)"


@pytest.mark.parametrize(("name", "option"), every_option(), ids=lambda x: str(x)[:30])
def test_every_option_says_what_it_is_and_in_which_unit(
    name: str, option: argparse.Action
) -> None:
    assert option.help, name
    if option.type in (int, float):
        assert re.search(UNITS, option.help), f"{name}: {option.help}"


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0:3", (0, 1, 2)), ("8", (8,)), ("3,7", (3, 7)), ("5:7,1", (5, 6, 1))],
)
def test_a_set_of_seeds_is_written_in_one_way(
    text: str, seeds: tuple[int, ...]
) -> None:
    for command in (["train", "copy", "--out", "x"], ["select", "x"]):
        assert cli._parser().parse_args([*command, "--seeds", text]).seeds == seeds


# Your own bits.


def test_try_copies_what_is_typed_and_says_where_the_heads_were(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["10110010", "01100101", "11111111"]
    assert main(["try", "copy-lstm", *words]) == 0
    header, *steps, last = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "step",
        "input",
        "write",
        "head",
        "read",
        "head",
        "answer",
    ]
    assert last == "0 of 24 bits wrong"
    assert [line.split()[0] for line in steps] == [str(n) for n in range(1, 8)]
    assert [line.split()[1] for line in steps[:3]] == words
    assert [line.split()[-1] for line in steps[4:]] == words
    model = ntm.load("copy-lstm")
    _, _, trace = model.trace(Copy().from_words(words).inputs)
    heads = torch.stack([trace.write.weighting, trace.read.weighting], 1)[:, :, 0, 0]
    for line, (write, read) in zip(steps, heads, strict=True):
        assert re.findall(r"(\d+) \((\d\.\d\d)\)", line) == [
            (f"{w.argmax()}", f"{w.max():.2f}") for w in (write, read)
        ]


def test_try_marks_each_wrong_bit_of_a_machine_that_has_learned_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", str(run), "10110010", "01100101"]) == 0
    lines = capsys.readouterr().out.splitlines()
    marks = [line for line in lines if line.endswith("wrong") and "^" in line]
    count = sum(line.count("^") for line in marks)
    assert lines[-1] == f"{count} of 16 bits wrong"
    assert count > 0
    answer, mark = lines[lines.index(marks[0]) - 1], marks[0]
    begin = len(answer) - 8
    word = "10110010" if answer.split()[0] == "4" else "01100101"
    wrong = [a != b for a, b in zip(answer[begin:], word, strict=True)]
    assert [c == "^" for c in mark[begin : begin + 8]] == wrong


def test_try_says_which_bits_a_task_takes(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("101", "101100102", "1011001x"):
        said = refused(capsys, 1, "try", run, "10110010", word)
        assert said == f"ntm: bits: got {word}, needs 8 of 0 and 1\n"


@pytest.mark.parametrize(
    ("name", "options", "words", "inputs", "asked"),
    [
        (
            "repeat-copy",
            {"bits": 3, "longest": 2},
            "101 010 2",
            ["101 0", "010 0", "000 -1.22"],
            "20",  # 2 × 2 vectors and the end marker, 4 channels
        ),
        (
            "associative-recall",
            {"bits": 3, "item_length": 1},
            "101 010 1",
            ["000 1 0", "101 0 0", "000 1 0", "010 0 0", "000 0 1", "101 0 0"],
            "3",
        ),
        (
            "priority-sort",
            {"bits": 3, "vectors": 4, "highest": 2, "delimiter": True},
            "101:0.5 010:-1 111:.25",
            ["101 0.5 0", "010 -1 0", "111 0.25 0", "000 0 1", "000 0 0"],
            "6",
        ),
    ],
)
def test_try_takes_what_each_task_takes_and_sets_apart_what_is_no_vector(
    name: str,
    options: dict[str, Any],
    words: str,
    inputs: list[str],
    asked: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny.finished(tmp_path / "x", task=name, task_options=options, sequences=4)
    assert main(["try", str(tmp_path / "x"), *words.split()]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"\d+ of {asked} bits wrong", said[-1])
    begin, end = said[0].index("input"), said[0].index("write head")
    shown = [x[begin:end].strip() for x in said[1:-1] if not x.endswith("wrong")]
    assert shown[: len(inputs)] == inputs
    wrong = refused(capsys, 1, "try", tmp_path / "x", "0x")
    assert wrong.startswith("ntm: bits: got 0x, needs ")
    assert wrong.count("\n") == 1


def test_try_says_how_likely_a_1_is_where_nobody_can_know() -> None:
    class Coin(nn.Module):
        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
            return torch.full_like(inputs, math.log(3)), None

    task = NGrams(context=1)
    lines = list(transcript(Coin(), task, task.from_words(["0111"])))
    assert [line.split() for line in lines[1:-1]] == [
        ["1", "0", "0.75", "0"],
        ["2", "0", "0.75", "1"],
        ["3", "1", "0.75", "1"],
        ["4", "1", "0.75", "1"],
    ]
    cost, best = 2 + 3 * math.log2(4 / 3), 3 + math.log2(4 / 3)
    assert lines[-1] == f"costs {cost:.2f} bits; the best predictor: {best:.2f}"


def test_what_is_set_apart_in_an_answer_has_its_mark_below_it() -> None:
    class Still(nn.Module):
        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
            return torch.full((*inputs.shape[:2], 4), -1.0), None

    task = RepeatCopy(bits=3)
    batch = task.from_words(["010", "1"])
    lines = list(transcript(Still(), task, batch))
    assert [line.split()[-2:] for line in lines[3:-1:2]] == [["000", "0"], ["000", "0"]]
    answer = lines[0].index("answer")
    assert [line[answer:] for line in lines[4::2]] == [" ^     wrong", "    ^  wrong"]


# Evaluation itself.


def test_the_same_seed_gives_the_same_result_in_any_portions(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained.load(run).model
    whole = evaluate(model, Copy(), 4, sequences=7, seed=3)
    assert whole == evaluate(model, Copy(), 4, sequences=7, seed=3)
    assert whole.sequences == 7
    monkeypatch.setattr("ntm.training.evaluation.SIDE_BY_SIDE", 2)
    portions = evaluate(model, Copy(), 4, sequences=7, seed=3)
    assert portions.sequences == 7
    assert 0 < portions.wrong_bits < 7 * 4 * 8


def test_an_evaluation_sees_no_sequences_of_a_training() -> None:
    """Nor those of another evaluation; only a seed's lowest 32 bits tell it apart."""
    seen: list[tuple[int, ...]] = []

    def watch(generator: torch.Generator) -> None:
        again = generator.clone_state()
        seen.append(tuple(torch.randint(2**31, (4,), generator=again).tolist()))

    class Watched(Copy):
        def batch(self, generator: torch.Generator, *given: int) -> Batch:
            watch(generator)
            return super().batch(generator, *given)

    for seed in (0, 1):
        evaluate(
            NTM(9, 8, memory_locations=3, controller_size=2), Watched(), 1, 1, seed
        )
    for stream in Trainer(tiny.settings(seeds=(0, 1, 2)), compiled=False).data_rngs:
        watch(stream)
    watch(torch.Generator().manual_seed(2**31))  # on the way
    assert len(set(seen)) == len(seen) == 6


@pytest.mark.parametrize("name", ["size", "sequences"])
def test_an_impossible_evaluation_is_refused(run: Path, name: str) -> None:
    model = trained.load(run).model
    with pytest.raises(
        ValueError, match=r"^(length|sequences): got 0, needs at least 1"
    ):
        evaluate(model, Copy(), **{"size": 3, "sequences": 3} | {name: 0})
