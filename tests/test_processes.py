"""Several processes for one run: the folder is that of one process, and a loss is no loss."""

import math
import multiprocessing
import os
import shutil
import signal
import socket
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
from ntm.runs.files import CARD, CURVE, WEIGHTS
from ntm.runs.processes import SHARED, Worker
from ntm.runs.run import CHECKPOINT, SETTINGS, Run
from ntm.tasks import Batch, Copy
from ntm.training.trainer import Trainer

# Rows of 32 numbers: a CPU takes no more at a time, and the place of a seed among the
# others does not decide in which portion its numbers are, which would change last bits.
SIZES: dict[str, Any] = {
    "batch_size": 32,
    "evaluate_every": 32,
    "evaluation_sequences": 32,
    "sequences": 128,
}
OPTIONS = ["--eager", "--threads", "1"]
TRAIN = ["train", "copy", "--seeds", "3", "--memory-locations", "30"]
TRAIN += ["--memory-width", "4", "--controller-size", "6", *OPTIONS]
for _name, _value in SIZES.items():
    TRAIN += ["--" + _name.replace("_", "-"), str(_value)]

STOPPED = (
    "ntm: stopped, because a worker was lost or told to stop; "
    "`resume` goes on from the last checkpoint"
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as one process does it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone") / "x"
    tiny.finished(folder, **SIZES)
    return folder


def begin(number: int, *command: object, restarts: int = 0) -> "subprocess.Popen[str]":
    """Workers at work; on a port that no other test has."""
    command = ("--max-restarts", restarts, *command)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.Popen(
        [*launcher, "--nproc-per-node", str(number), *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def end(group: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """The exit code, what was printed, and what was said."""
    try:
        out, err = group.communicate(timeout=120)
    finally:
        group.terminate()  # torchrun takes its workers with it
    return group.returncode, out, err


def started(group: "subprocess.Popen[str]") -> dict[int, int]:
    """The process of each rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]
            told = folder.joinpath("environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == group.pid:
            found |= {int(v[5:]): int(folder.name) for v in told if v[:5] == b"RANK="}
    return found


def assert_same(folder: Path, other: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {p.name for p in other.iterdir()}
    assert tiny.checkpoint(folder) == tiny.checkpoint(other)
    for name in (WEIGHTS, CURVE, SETTINGS):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    cards = [files.read_json(x / CARD) for x in (folder, other)]
    for card in cards:
        for name in ("seconds", "workers"):
            del card[name]
    assert cards[0] == cards[1]


# Two processes and one.


def test_two_workers_leave_the_folder_that_one_leaves(
    alone: Path, tmp_path: Path
) -> None:
    code, out, err = end(begin(2, "-m", "ntm", *TRAIN, "--out", tmp_path / "x"))
    assert code == 0, err
    assert out == f"{tmp_path / 'x'}: seed {trained.load(alone).card['seed']} is kept\n"
    assert err.count("sequences: ") == 4
    assert_same(tmp_path / "x", alone)
    assert files.read_json(tmp_path / "x" / CARD)["workers"] == 2


def test_a_worker_that_is_killed_stops_the_others_and_resume_goes_on(
    alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "x"
    group = begin(2, "-m", "ntm", *TRAIN, "--out", run)
    while not (run / CHECKPOINT).exists():
        assert group.poll() is None
        time.sleep(0.01)
    others = started(group)
    os.kill(others.pop(1), signal.SIGKILL)
    killed = time.monotonic()
    code, _, err = end(group)
    assert code != 0
    assert time.monotonic() - killed < 20
    assert err.count(STOPPED) == 1
    assert "ntm/" not in err  # no line of ours in a traceback
    assert not any(Path(f"/proc/{pid}").exists() for pid in others.values())
    done = {row.sequences for row in files.read_curve(run / CURVE)}
    assert max(done) < 128
    shutil.copytree(run, tmp_path / "y")
    for _ in Run.resume(run, compiled=False):
        pass
    assert_same(run, alone)
    # Three go on, one of them is lost again, and torchrun begins again by itself.
    resume = ["resume", tmp_path / "y", *OPTIONS]
    group = begin(3, "-m", "ntm", *resume, restarts=1)
    before = tiny.checkpoint(tmp_path / "y")
    while tiny.checkpoint(tmp_path / "y") == before:
        assert group.poll() is None
        time.sleep(0.01)
    os.kill(started(group)[2], signal.SIGKILL)
    code, _, err = end(group)
    assert code == 0, err
    assert err.count(STOPPED) == 1
    assert_same(tmp_path / "y", alone)


def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 0 is handed what is not a number in its update 2, 1 in 4, 2 in 3."""
    draw, calls = Copy.batch, dict.fromkeys(range(3), 0)

    def batch(self: Copy, generator: torch.Generator, *size: int) -> Batch:
        drawn, seed = draw(self, generator, *size), generator.initial_seed()
        if seed in calls:
            calls[seed] += 1
            if calls[seed] == (2, 4, 3)[seed]:
                drawn.inputs.fill_(math.nan)
        return drawn

    monkeypatch.setattr(Copy, "batch", batch)


def forked(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[int | None]:
    """The exit codes of two workers that no torchrun looks after."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = {"MASTER_ADDR": "localhost", "MASTER_PORT": free.getsockname()[1]}

    def work(rank: int) -> None:
        told(monkeypatch, RANK=rank, WORLD_SIZE=2, **address)
        sys.exit(main(arguments))

    context = multiprocessing.get_context("fork")
    group = [context.Process(target=work, args=[rank]) for rank in (0, 1)]
    for process in group:
        process.start()
    for process in group:
        process.join(60)
    return [process.exitcode for process in group]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_worker_whose_seeds_have_stopped_goes_on_with_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The only seed of the first worker stops first; when the last has, all end."""
    spoil(monkeypatch)
    assert forked(monkeypatch, *TRAIN, "--out", str(tmp_path / "two")) == [1, 0]
    said = capfd.readouterr().err
    assert main([*TRAIN, "--out", str(tmp_path / "one")]) == 1
    assert_same(tmp_path / "two", tmp_path / "one")
    for text in (said, capfd.readouterr().err):
        stopped = [line for line in text.splitlines() if "not finite" in line]
        assert [line[:31] for line in stopped] == [
            "ntm: seed 0 stopped at update 2",
            "ntm: seed 2 stopped at update 3",
            "ntm: seed 1 stopped at update 4",
        ]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_loss_is_noticed_although_nobody_tells_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    update = Trainer.update

    def dying(self: Trainer) -> None:
        if self.updates == 2 and os.environ["RANK"] == "1":
            os._exit(9)
        update(self)

    monkeypatch.setattr(Trainer, "update", dying)
    assert forked(monkeypatch, *TRAIN, "--out", str(tmp_path / "x")) == [1, 9]
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "gloo" not in line][-1] == STOPPED
    assert max(r.sequences for r in files.read_curve(tmp_path / "x" / CURVE)) == 64


def test_fewer_seeds_than_workers_are_refused(tmp_path: Path) -> None:
    message = "^seeds: got 1, needs at least 2, one for each worker$"
    with pytest.raises(ValueError, match=message):
        Run.start(tmp_path / "x", tiny.settings(seeds=(5,)), worker=Worker(0, 2))
    assert not (tmp_path / "x").exists()


# One of them.


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_the_shares_are_neighbours_and_as_many_as_others(number: int) -> None:
    seeds = (4, 2, 9, 0, 1, 7, 8)
    shares = Worker(size=number).shares(seeds)
    assert tuple(seed for share in shares for seed in share) == seeds
    assert len(shares) == number
    counts = [len(share) for share in shares]
    assert max(counts) - min(counts) <= 1


def test_the_tensors_are_split_by_seeds_and_what_is_shared_is_whole() -> None:
    three, two = (
        Trainer(tiny.settings(seeds=seeds), compiled=False).state_dict()
        for seeds in ((0, 1, 2), (1, 2))
    )
    assert {n for n in three if three[n].shape == two[n].shape} == SHARED
    parts = [Worker(rank, 2).part(three, (0, 1, 2)) for rank in (0, 1)]
    for name, tensor in three.items():
        if name in SHARED:
            assert all(part[name] is tensor for part in parts)
        else:
            assert [len(part[name]) for part in parts] == [1, 2]
            assert torch.equal(torch.cat([part[name] for part in parts]), tensor)
    assert torch.equal(parts[1]["parameters"], two["parameters"])
    with pytest.raises(ValueError, match=r": got \(2, .*, needs \(3, "):
        Worker(0, 2).part(two, (0, 1, 2))


def told(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """What torchrun puts into the environment."""
    usual = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    usual |= {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": 0}
    for name, value in (usual | values).items():
        monkeypatch.setenv(name, str(value))


def test_only_torchrun_makes_a_process_one_of_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert processes.from_env() == Worker()
    told(monkeypatch, RANK=3, WORLD_SIZE=4, LOCAL_RANK=1, LOCAL_WORLD_SIZE=2)
    assert processes.from_env() == Worker(3, 4, 1, 2, 0)


def test_each_worker_has_a_card_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cards = [Worker(9, 10, rank, 3).place(torch.device("cuda")) for rank in range(3)]
    assert list(map(str, cards)) == ["cuda:0", "cuda:1", "cuda:0"]
    assert Worker(1, 2, 1, 2).place(torch.device("cuda:0")).index == 0
    assert Worker(1, 2, 1, 2).place(torch.device("cpu")) == torch.device("cpu")
    assert Worker().place(torch.device("cuda")).index is None


def test_a_wrong_command_is_said_by_one_worker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for rank in (0, 1):
        told(monkeypatch, RANK=rank, WORLD_SIZE=2)
        with pytest.raises(SystemExit, match="2"):
            main(["train", "dance"])
        assert main(["train", "copy", "--heads", "0", "--out", "x"]) == 1
        assert capsys.readouterr().err.count("\n") == 2 * (rank == 0)


def test_begun_anew_by_torchrun_a_run_goes_on(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "x"
    half = Run.start(run, tiny.settings(**SIZES), compiled=False)
    next(iter(half))
    train = [*TRAIN, "--out", str(run)]
    assert main(train) == 1  # it holds another run
    told(monkeypatch, TORCHELASTIC_RESTART_COUNT=1)
    assert main([*train, "--heads", "2"]) == 1  # it holds another run indeed
    assert main(train) == 0
    assert_same(run, alone)


def test_a_single_process_joins_nobody() -> None:
    with processes.process_group() as worker:
        assert worker == Worker()
        assert not torch.distributed.is_initialized()
        assert worker.all_gather_json({"a": 1}) == [{"a": 1}]
