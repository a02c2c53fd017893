"""Several processes for one run: the folder is that of one process, and a loss is no loss."""

import itertools
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from ntm.cli import main
from ntm.runs import files, processes, trained
from ntm.runs.files import CARD, CURVE, TRIALS
from ntm.runs.folder import CHECKPOINT, PARTS, SETTINGS
from ntm.runs.processes import SHARED, shares
from ntm.runs.run import Run
from ntm.tasks import Batch, Copy
from ntm.training.trainer import Trainer

# Rows of 32 numbers: a CPU takes no more at a time, and the place of a seed among the
# others does not decide in which portion its numbers are, which would change last bits.
SIZES: dict[str, Any] = {"batch_size": 32, "evaluate_every": 32}
SIZES |= {"evaluation_sequences": 32, "sequences": 256}
OPTIONS = ["--eager", "--threads", "1"]
TRAIN = ["train", "copy", "--seeds", "0:3", "--memory-locations", "12", *OPTIONS]
TRAIN += ["--memory-width", "4", "--controller-size", "6", "--task.longest", "3"]
for _name, _value in SIZES.items():
    TRAIN += ["--" + _name.replace("_", "-"), str(_value)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as one process does it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone") / "x"
    tiny.finished(folder, **SIZES)
    return folder


def begin(number: int, *command: object, restarts: int = 0) -> "subprocess.Popen[str]":
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = ("--max-restarts", restarts, "-m", "ntm", *command)
    return subprocess.Popen(
        [*launcher, "--nproc-per-node", str(number), *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(group: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """The exit code, what was printed, and what was said."""
    try:
        out, err = group.communicate(timeout=600)
    finally:
        group.terminate()  # torchrun takes its processes with it
    return group.returncode, out, err


def process(group: "subprocess.Popen[str]", rank: int) -> int:
    """The process of a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]
            told = folder.joinpath("environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == group.pid and f"RANK={rank}".encode() in told:
            return int(folder.name)
    raise LookupError(rank)


def together(
    folder: Path, size: int, evaluations: int | None = None, ranks: Any = None
) -> None:
    """What these of so many processes do, one after the other, or begin to do."""
    for rank in range(size) if ranks is None else ranks:
        for share in shares(folder, rank, size):
            list(itertools.islice(Run.resume(share, compiled=False), evaluations))


def assert_same(folder: Path, other: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {p.name for p in other.iterdir()}
    assert tiny.checkpoint(folder) == tiny.checkpoint(other)
    assert tiny.weights(folder).name == tiny.weights(other).name
    for name in (tiny.weights(folder).name, CURVE, SETTINGS, TRIALS):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    one, two = (files.read_json(x / CARD) | {"seconds": 0} for x in (folder, other))
    assert one == two


def test_two_processes_one_of_them_killed_leave_the_folder_that_one_leaves(
    alone: Path, tmp_path: Path
) -> None:
    """It is begun anew, nothing is lost, and only the result is on standard output."""
    run = tmp_path / "x"
    group = begin(2, *TRAIN, "--out", run, restarts=1)
    while not (run / PARTS / "1" / CHECKPOINT).exists():
        assert group.poll() is None
        time.sleep(0.01)
    os.kill(process(group, 1), signal.SIGKILL)
    code, out, err = end(group)
    assert code == 0, err
    assert out == f"{run}: seed {trained.load(alone).card['seed']} is kept\n"
    assert all(f"seeds {seeds}: 256 sequences" in err for seeds in ("0 to 0", "1 to 2"))
    ours = Path(trained.__file__).parents[1]  # however the clone's folder is called
    assert f"{ours}{os.sep}" not in err  # no line of ours in a traceback
    assert_same(run, alone)


@pytest.mark.parametrize("numbers", [(2, 1), (1, 3), (2, 5, 2)])
def test_any_number_of_processes_goes_on_with_what_any_number_began(
    numbers: tuple[int, ...], alone: Path, tmp_path: Path
) -> None:
    run, last = tmp_path / "x", numbers[-1]
    Run.start(run, tiny.short(**SIZES), compiled=False)
    for size in numbers[:-1]:
        together(run, size, 1)
    together(run, last)
    assert_same(run, alone)


def test_what_a_lost_process_leaves_is_finished_by_another(
    alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "x"
    Run.start(run, tiny.short(**SIZES), compiled=False)
    together(run, 2, ranks=[1])
    with pytest.raises(files.FolderError, match="divided among processes; `ntm resu"):
        Run.resume(run)
    done = tiny.checkpoint(run / PARTS / "1")
    shutil.copytree(run, tmp_path / "y")
    assert main(["resume", str(run), *OPTIONS]) == 0
    assert_same(run, alone)
    together(tmp_path / "y", 2, 1, ranks=[0])
    assert tiny.checkpoint(tmp_path / "y" / PARTS / "1") == done


def test_seeds_that_stop_do_not_stop_those_of_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, calls = Copy.batch, dict.fromkeys(range(3), 0)

    def spoiled(self: Copy, generator: torch.Generator, *size: int) -> Batch:
        drawn, seed = draw(self, generator, *size), generator.initial_seed()
        if seed in calls:
            calls[seed] += 1
            if calls[seed] == (2, 9, 3)[seed]:
                drawn.inputs.fill_(math.nan)
        return drawn

    monkeypatch.setattr(Copy, "batch", spoiled)
    for name, size in (("one", 1), ("x", 2)):
        calls.update(dict.fromkeys(range(3), 0))
        Run.start(tmp_path / name, tiny.short(**SIZES), compiled=False)
        together(tmp_path / name, size)
    curves = [(tmp_path / name / CURVE).read_bytes() for name in ("one", "x")]
    assert curves[0] == curves[1]
    card = files.read_json(tmp_path / "x" / CARD)
    assert [(r["seed"], r["update"]) for r in card["stopped"]] == [(0, 2), (2, 3)]
    assert card["sequences"] == 256


def test_what_is_shared_by_all_seeds_is_known() -> None:
    three, two = (
        Trainer(tiny.short(seeds=seeds), compiled=False).state_dict()
        for seeds in ((0, 1, 2), (1, 2))
    )
    assert {n for n in three if three[n].shape == two[n].shape} == SHARED


def told(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """What torchrun puts into the environment."""
    for name, value in ({"TORCHELASTIC_RUN_ID": "x"} | values).items():
        monkeypatch.setenv(name, str(value))


def test_each_process_has_a_card_of_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes.position() == (0, 1)  # not torchrun's
    assert processes.place(torch.device("cuda")).index is None
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for rank in range(3):
        told(monkeypatch, RANK=rank, WORLD_SIZE=3, LOCAL_RANK=rank)
        assert processes.place(torch.device("cuda")).index == rank % 2
        assert processes.place(torch.device("cuda:0")).index == 0
        assert processes.place(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_says_so_in_a_line_and_goes_on_later(
    alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    run, update = tmp_path / "x", Trainer.update

    def stopping(self: Trainer) -> None:
        update(self)
        if self.updates == 2:
            os.kill(os.getpid(), number)

    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    # Where the tests run in the background of a shell, it would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", stopping)
        assert main([*TRAIN, "--out", str(run)]) == 130
    for signal_, handler in before.items():
        signal.signal(signal_, handler)
    first, said = capsys.readouterr().err.splitlines()
    assert first.startswith("32 sequences: ")
    assert said == "ntm: stopped; `resume` goes on from the last checkpoint"
    together(run, 1)
    assert_same(run, alone)


def test_a_wrong_command_is_said_by_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in (0, 1):
        told(monkeypatch, RANK=rank, WORLD_SIZE=2)
        with pytest.raises(SystemExit, match="2"):
            main(["train", "dance"])
        assert main(["train", "copy", "--num-heads", "0", "--out", "x"]) == 1
        assert capsys.readouterr().err.count("\n") == 2 * (rank == 0)
