"""The fused step is the plain one: same numbers, same gradients, also at the edges."""

import pytest
import torch
from machines import INPUTS, LOCATIONS, MODELS, WIDTH, small
from torch import Tensor
from torch.testing import assert_close

from ntm.addressing import SHORTEST, address, smallest
from ntm.fast import step as fused
from ntm.heads import AddressParameters
from ntm.machine import NTM, State
from ntm.memory import write


def state(model: NTM) -> State:
    """A state in which every number counts."""
    begin = model.initial_state(2)
    weightings = type(begin.weightings)(
        *(torch.rand_like(w).softmax(dim=-1) for w in begin.weightings)
    )
    memory = torch.randn_like(begin.memory)
    return begin._replace(memory=memory, weightings=weightings)


def both(model: NTM, before: State) -> list[tuple[Tensor, ...]]:
    """Outputs, state and gradients by the memory and the parameters, of both steps."""
    inputs = torch.randn(2, INPUTS, dtype=torch.float64)
    found = []
    for step in (NTM.step, fused.step):
        memory = before.memory.detach().clone().requires_grad_()
        outputs, after = step(model, inputs, before._replace(memory=memory))[:2]
        made = (outputs, after.memory, *after.weightings, after.reads)
        loss = sum(tensor.square().sum() for tensor in made)
        by = torch.autograd.grad(loss, [memory, *model.parameters()], allow_unused=True)
        found.append((*made, *(g for g in by if g is not None)))
    return found


@pytest.mark.parametrize("name", [n for n in MODELS if n != "baseline"])
def test_the_fused_step_is_the_plain_one(name: str) -> None:
    model = MODELS[name]()
    for plain, ours in zip(*both(model, state(model)), strict=True):
        assert_close(ours, plain, rtol=1e-10, atol=1e-12)


def test_it_is_the_plain_one_where_rows_are_short_and_weightings_are_sharp() -> None:
    model = small()
    before = state(model)
    before.memory[:, 0] = 0
    before.memory[:, 1] *= SHORTEST / 100
    before.memory[:, 2] = before.memory[:, 3]
    for weighting in before.weightings:
        weighting[0] = torch.eye(LOCATIONS)[LOCATIONS - 1]
    for plain, ours in zip(*both(model, before), strict=True):
        assert ours.isfinite().all()
        assert_close(ours, plain, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("strength", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("exponent", [1.0, 50.0])
def test_a_weighting_is_one_and_as_exact_as_its_numbers_allow(
    strength: float, exponent: float, dtype: torch.dtype
) -> None:
    memory = torch.randn(LOCATIONS, WIDTH, dtype=dtype)
    params = AddressParameters(
        key=memory[3:4] + 0.1,
        strength=torch.full((1, 1), strength, dtype=dtype),
        gate=torch.full((1, 1), 0.5, dtype=dtype),
        kernel=torch.tensor([[0.1, 0.2, 0.7]], dtype=dtype),
        exponent=torch.full((1, 1), exponent, dtype=dtype),
    )
    previous = torch.eye(LOCATIONS, dtype=dtype)[:1]
    look = fused.lookup(memory.mT, params.key)
    ours = fused.weighting(*look, previous, params)
    exact = address(
        memory.double(), previous.double(), *(part.double() for part in params)
    ).weighting
    close = 1e-4 if dtype == torch.float32 else 0.2
    assert_close(ours.double(), exact, rtol=close, atol=close)
    assert_close(ours.double().sum(), torch.tensor(1.0).double(), rtol=0, atol=close)


def test_what_was_found_is_not_computed_again() -> None:
    model = small()
    inputs, before = torch.randn(2, INPUTS, dtype=torch.float64), state(model)
    outputs, after, found = fused.step(model, inputs, before)
    again, _, _ = fused.step(model, inputs, before, found)
    assert torch.equal(again, outputs)
    wrong = tuple(torch.zeros_like(tensor) for tensor in found)
    believed, after, _ = fused.step(model, inputs, before, wrong)
    assert after.memory.count_nonzero() == 0
    assert not torch.equal(believed, outputs)


def test_a_write_is_that_of_the_memory() -> None:
    memory = torch.randn(2, LOCATIONS, WIDTH, dtype=torch.float64)
    w = torch.rand(2, 3, LOCATIONS, dtype=torch.float64).softmax(dim=-1)
    e, a = torch.rand(2, 2, 3, WIDTH, dtype=torch.float64)
    assert_close(fused.write(memory.mT, w, e, a).mT, write(memory, w, e, a))


def test_no_number_stands_in_for_zero_that_is_zero() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert torch.tensor(smallest(dtype), dtype=dtype) > 0


def test_a_model_without_a_memory_finds_nothing() -> None:
    model = MODELS["baseline"]()
    inputs, before = torch.randn(2, INPUTS, dtype=torch.float64), model.initial_state(2)
    outputs, _, found = fused.step(model, inputs, before)
    assert found == ()
    assert torch.equal(outputs, model.step(inputs, before)[0])
