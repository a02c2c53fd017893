"""The bench: what its floor is, and what it prints.  How fast anything is tests nothing."""

import json
from typing import Any

import pytest
import torch
from test_cli import refused
from torch.utils.flop_counter import FlopCounterMode

from ntm import minimal
from ntm.cli import main
from ntm.fast import bench
from ntm.tasks import TASKS
from ntm.tasks.base import steps

NTM = minimal.NTM
CPU = torch.device("cpu")


def flops(work: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("seeds", "batch", "length"), [(1, 1, bench.LENGTH), (1, 3, 2), (2, 2, 2)]
)
def test_the_floor_does_the_products_of_the_machine(
    seeds: int, batch: int, length: int
) -> None:
    """Those by hand, and those that the counter finds in an update."""
    weights, steps = 129 * 400 + 100 * 92 + 120 * 8, 2 * length + 1
    each = 3 * 2 * steps * seeds * batch * (weights + 3 * 128 * 20)
    assert flops(bench.floor(seeds, batch, CPU, size=(length,))) == each
    machine = bench.training(seeds, batch, CPU, compiled=False, size=(length,))
    # The machine adds to the memory by a product too; the floor does without.
    adding = 3 * 2 * steps * seeds * batch * 128 * 20
    assert flops(machine.update) == each + adding


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_line_and_a_floor_of_its_own(name: str) -> None:
    """Its sequences are the largest of training, and so are those of its floor."""
    assert name in {case.task for case in bench.cases(CPU, quick=False)}
    task = TASKS[name]()
    of_task: Any = {"task": task, "size": task.test_size}
    machine = bench.training(2, 1, CPU, compiled=False, **of_task)
    assert machine.settings.task == name
    length = steps(task, task.test_size)
    assert {len(batch.inputs) for batch in machine.next_batches()} == {length}
    adding = 3 * 2 * length * 2 * 128 * 20
    floor = bench.floor(2, 1, CPU, **of_task)
    drawing = flops(machine.next_batches)  # recall looks for items that are alike
    assert flops(machine.update) == flops(floor) + adding + drawing


def test_the_bench_prints_one_object_of_this_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"rows", "growth", "versions", "device_name"}
    assert found["rows"]
    for row in found["rows"]:
        assert row.keys() == set(bench.Row._fields)
        assert row["device"] == "cpu"
        assert row["threads"] == 1
        rates = row["sequences_per_second"], row["floor_sequences_per_second"]
        assert min(rates) > 0
        assert row["peak_bytes"] > 128 * 20 * 4
    for sizes in found["growth"].values():
        assert sizes[0]["relative"] == 1
        assert all(size["seconds"] > 0 for size in sizes)


def test_the_table_has_a_line_for_each_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is measured is in the test before; here it is one second and a byte."""
    monkeypatch.setattr(bench, "seconds", lambda works, *_: [1.0] * len(works))
    monkeypatch.setattr(bench, "peak", lambda *_: 1)
    assert main(["bench", "--quick"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[:3] == ["task", "variant", "seeds"]
    cases = bench.cases(CPU, quick=True)
    for line, (variant, seeds, batch, task) in zip(said[1:], cases, strict=False):
        assert line.split()[:2] == [task, variant]
        assert line.split()[-6:-4] == [str(seeds), str(batch)]


def test_the_plain_row_is_the_machine_in_one_file_beside_a_floor_of_its_own() -> None:
    """Its controller is feed-forward; it erases and adds by a product, the floor neither."""
    assert "plain" in {case.variant for case in bench.cases(CPU, quick=False)}
    weights = 29 * 100 + 100 * 92 + 120 * 8
    each = 3 * 2 * 5 * 3 * (weights + 3 * 128 * 20)
    assert flops(bench.floor(1, 3, CPU, size=(2,), controller="feedforward")) == each
    changing = 3 * 2 * 5 * 3 * 2 * 128 * 20
    assert flops(bench.plain_update(3, CPU, length=2)) == each + changing


def test_the_plain_row_learns_at_each_update(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[minimal.NTM] = []
    monkeypatch.setattr(
        minimal, "NTM", lambda *sizes: made.append(NTM(*sizes)) or made[0]
    )
    update = bench.plain_update(2, CPU, length=1)
    before = [parameter.clone() for parameter in made[0].parameters()]
    update()
    for old, new in zip(before, made[0].parameters(), strict=True):
        assert not torch.equal(old, new)


def test_peak_counts_what_is_in_use_at_once() -> None:
    def work() -> None:
        for _ in range(3):
            torch.zeros(1000)
        torch.zeros(1000) + torch.zeros(1000)

    assert 12_000 <= bench.peak(work, CPU) < 14_000


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without a GPU")
@pytest.mark.parametrize(
    "command",
    [
        ["bench"],
        ["train", "copy", "--out", "x"],
        ["resume", "x"],
        ["evaluate", "copy-lstm"],
    ],
)
def test_a_device_that_is_not_there_is_said_in_one_line(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, 2, *command, "--device", "cuda")
    assert said == "ntm: device: there is no cuda here\n"
