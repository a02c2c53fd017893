"""The machine in one file: it is `NTM`, it learns, and it needs nothing but PyTorch."""

import ast
import re
from pathlib import Path

import machines
import nbformat
import pytest
import torch
from torch.testing import assert_close

from ntm import minimal
from ntm.tasks import Copy

SOURCE = Path(minimal.__file__).read_text(encoding="utf-8")
CHAPTER = Path(__file__).parent.parent / "book" / "minimal.ipynb"


@pytest.mark.parametrize("locations", [3, 11, 40])
def test_every_step_is_that_of_the_machine(locations: int) -> None:
    """The parameters of both come in the same order, with the same shapes."""
    machine, inputs = machines.small("feedforward"), machines.sequence(time=9)
    outputs, _, trace = machine.trace(inputs, machine.initial_state(2, locations))
    sizes = machines.INPUTS, machines.OUTPUTS, machines.SIZE, machines.WIDTH
    same = minimal.NTM(*sizes).double()
    theirs = machine.state_dict().values()
    same.load_state_dict(dict(zip(same.state_dict(), theirs, strict=True)))
    assert_close(same(inputs, locations), outputs, rtol=0, atol=1e-9)
    weightings = trace.write.weighting, trace.read.weighting
    state = same.start(2, locations)
    for t, x in enumerate(inputs.unsqueeze(-2)):
        y, state = same.step(x, state)
        assert_close(y[:, 0], outputs[t], rtol=0, atol=1e-9)
        for ours, all_steps in zip(
            state, (trace.memory, *weightings, trace.reads), strict=True
        ):
            assert_close(ours, all_steps[t], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("tap", "end"), [(0, 3), (1, 4), (2, 0)])
def test_mass_at_offset_plus_one_moves_the_focus_forward_and_round(
    tap: int, end: int
) -> None:
    """Taps are −1, 0 and 1; the gate is shut, and the head at the last location."""
    told = torch.tensor([[1.0, 1, 0, -99, 0, 0, 0, 0]])
    told[0, 4 + tap] = 99
    moved = minimal.address(torch.rand(5, 2), torch.eye(5)[4:], told)
    assert_close(moved, torch.eye(5)[end : end + 1])


def test_empty_rows_and_the_sharpest_focus_have_finite_gradients() -> None:
    memory = torch.zeros(5, 2, requires_grad=True)
    told = torch.tensor([[0, 0, 1, -99, 0, 99.0, 0, 500]], requires_grad=True)
    weighting = minimal.address(memory, torch.eye(5)[:1], told)
    weighting[..., 2].sum().backward()
    assert all(t.isfinite().all() for t in (weighting, memory.grad, told.grad))


def test_it_asks_what_the_task_asks() -> None:
    inputs, vectors = minimal.copy(batch=3, length=4)
    expected = Copy().batch(torch.Generator(), 3, 4).inputs.clone()
    expected[:4, :, :8] = vectors
    assert torch.equal(inputs, expected)
    assert vectors.unique().tolist() == [0, 1]
    assert not torch.equal(vectors, minimal.copy(batch=3, length=4)[1])


def test_run_as_a_program_it_learns_and_says_how_many_bits_are_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With fewer updates, and sequences of one vector."""
    program = SOURCE
    changes = ("2_000", "120"), ("(1, 21,", "(1, 2,"), ("100 == 99", "20 == 19")
    for old, new in (*changes, ("batch=500", "batch=5"), ("/ 500", "/ 5")):
        assert program.count(old) == 1, old
        program = program.replace(old, new)
    exec(program, {"__name__": "__main__"})
    *rows, last = capsys.readouterr().out.splitlines()
    losses = [float(row.split("updates: loss ")[1]) for row in rows]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 2
    assert re.fullmatch(r"\d+\.\d{3} wrong bits of 160: not solved", last)


def test_it_imports_nothing_but_torch_and_has_at_most_120_lines() -> None:
    nodes = list(ast.walk(ast.parse(SOURCE)))
    modules = [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
    modules += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    assert {str(module).split(".")[0] for module in modules} == {"torch"}
    assert len(SOURCE.splitlines()) <= 120


def test_its_chapter_shows_all_of_it_piece_by_piece() -> None:
    text = "\n".join(c.source for c in nbformat.read(CHAPTER, as_version=4).cells)
    lines, shown = SOURCE.splitlines(), []
    for options in re.findall(r"} \.\./ntm/minimal\.py\n(.*?)```", text, re.DOTALL):
        ends = dict(re.findall(r":(start|end)-at: (.+)\n", options))
        start = next(n for n, line in enumerate(lines) if ends.get("start", "") in line)
        found = (
            n for n in range(start, len(lines)) if ends.get("end", "\n") in lines[n]
        )
        shown += lines[start : next(found, len(lines)) + 1]
    assert list(filter(None, shown)) == list(filter(None, lines))
