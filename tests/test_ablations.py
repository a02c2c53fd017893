"""The machines that lack a part do lack it, and nothing else."""

import sys

import pytest
import torch
from test_notebooks import ROOT
from torch.testing import assert_close

from ntm.machine import NTM, Trace

sys.path.append(str(ROOT / "book" / "_tools"))
import ablations


def made(kind: type[NTM]) -> NTM:
    torch.manual_seed(0)
    return kind(3, 2, controller_size=8, memory_locations=6, memory_width=4)


def trace(machine: NTM) -> Trace:
    inputs = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(1))
    return machine.trace(inputs)[2]


@pytest.mark.parametrize("head", ["write", "read"])
def test_a_head_that_lacks_a_stage_goes_on_without_it(head: str) -> None:
    whole = getattr(trace(made(NTM)), head)
    pairs = {
        "no-content": lambda a: (a.gated[1:], a.weighting[:-1]),
        "no-gate": lambda a: (a.gated, a.content),
        "no-shift": lambda a: (a.shifted, a.gated),
        "no-sharpening": lambda a: (a.sharpened, a.shifted),
    }
    assert set(pairs) <= set(ablations.KINDS)
    for name, pair in pairs.items():
        assert_close(*pair(getattr(trace(made(ablations.KINDS[name])), head)))
        one, other = pair(whole)
        assert not torch.allclose(one, other), (
            f"{name}: the whole machine lacks it, too"
        )


def test_first_weightings_are_even_and_first_rows_of_their_own() -> None:
    even = made(ablations.KINDS["uniform"]).initial_state(2, 10).weightings
    assert_close(even.read, torch.full((2, 1, 10), 0.1))
    assert_close(even.write, even.read)
    memory = made(ablations.KINDS["rows"]).initial_state(2, 10).memory
    assert memory.shape == (2, 10, 4)
    assert len(memory[0].unique(dim=0)) == 10
    assert_close(memory[0], memory[1])
