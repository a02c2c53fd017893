"""`ntm.heads`: every part of what a head is told stays in its range, and is its own."""

import math

import pytest
import torch
from torch.testing import assert_close

from ntm import heads
from ntm.addressing import address

WIDTH, RANGE = 4, 1
SIZE = heads.address_parameters_size(WIDTH, RANGE)


def test_each_part_is_squashed_as_its_equation_needs() -> None:
    raw = torch.tensor([[1.0, -2, 3, -4, 0, 0, 0, 0, 0, 0]], dtype=torch.float64)
    params = heads.address_parameters(raw, WIDTH)
    assert params.key.tolist() == [[1, -2, 3, -4]]
    assert_close(params.strength.exp(), torch.tensor([[2.0]], dtype=torch.float64))
    assert params.gate.tolist() == [[0.5]]
    assert_close(params.kernel, torch.full((1, 3), 1 / 3, dtype=torch.float64))
    assert_close(params.exponent - 1, torch.tensor([[2.0]], dtype=torch.float64).log())


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_no_number_of_the_controller_leaves_the_ranges(scale: float) -> None:
    raw = scale * torch.randn(1000, SIZE)
    params = heads.address_parameters(raw, WIDTH)
    assert all(part.isfinite().all() for part in params)
    assert (params.strength >= 0).all()
    assert ((params.gate >= 0) & (params.gate <= 1)).all()
    assert (params.kernel >= 0).all()
    assert_close(params.kernel.sum(-1), torch.ones(1000))
    assert (params.exponent >= 1).all()
    erase_vector, _ = heads.write_parameters(scale * torch.randn(1000, 2 * WIDTH))
    assert ((erase_vector >= 0) & (erase_vector <= 1)).all()


def test_strength_and_exponent_are_not_capped() -> None:
    """A strength held below 10 cannot focus; one through a ReLU stops learning at 0."""
    raw = torch.full((1, SIZE), 500.0)
    params = heads.address_parameters(raw, WIDTH)
    assert params.strength.item() == 500
    assert params.exponent.item() == 501
    raw = torch.full((1, SIZE), -5.0, requires_grad=True)
    params = heads.address_parameters(raw, WIDTH)
    (params.strength + params.exponent).sum().backward()
    assert raw.grad is not None
    assert raw.grad[0, WIDTH] > 0
    assert raw.grad[0, -1] > 0


def test_what_is_added_may_have_any_sign_and_size() -> None:
    raw = torch.tensor([0.0, 0, -7, 9])
    assert heads.write_parameters(raw).add_vector.tolist() == [-7, 9]


def test_a_focus_has_the_order_in_which_address_asks() -> None:
    memory, previous = torch.randn(2, 6, WIDTH), torch.softmax(torch.randn(2, 6), -1)
    params = heads.address_parameters(torch.randn(2, SIZE), WIDTH)
    by_place = address(memory, previous, *params)
    by_name = address(memory, previous, **params._asdict())
    assert_close(by_place.weighting, by_name.weighting, rtol=0, atol=0)


def test_every_number_of_the_linear_layer_goes_to_one_head_and_one_part() -> None:
    layer = heads.Heads(controller_size=3, width=WIDTH, num_heads=2, shift_range=2)
    hidden = torch.randn(5, 3)
    params = layer(hidden)
    parts = [*params.write, *params.change, *params.read]
    assert all(part.shape[:2] == (5, 2) for part in parts)
    assert sum(part.shape[1:].numel() for part in parts) == layer.linear.out_features
    jacobian = torch.autograd.functional.jacobian(
        lambda bias: torch.cat(
            [
                part.flatten()
                for part in [
                    *heads.address_parameters(bias[: SIZE + 2], WIDTH),
                    heads.write_parameters(bias[-2 * WIDTH :]).add_vector,
                ]
            ]
        ),
        torch.randn(SIZE + 2 + 2 * WIDTH),
    )
    assert (jacobian != 0).sum() == WIDTH + 1 + 1 + 25 + 1 + WIDTH


@pytest.mark.parametrize(("shift_range", "forward"), [(1, 2), (2, 3)])
def test_a_lean_is_that_of_the_write_heads_next_shift_and_gate_alone(
    shift_range: int, forward: int
) -> None:
    layer, hidden = heads.Heads(3, WIDTH, 2, shift_range), torch.randn(5, 3)
    before = layer(hidden)
    layer.lean(3.0, -2.0)
    after = layer(hidden)
    odds = after.write.kernel / before.write.kernel
    odds = odds / odds[..., :1]
    wanted = torch.ones(2 * shift_range + 1)
    wanted[forward] = math.exp(3)
    assert_close(odds, wanted.expand_as(odds), rtol=1e-4, atol=0)
    raw = [part.write.gate.logit() for part in (before, after)]
    assert_close(raw[1], raw[0] - 2, rtol=1e-4, atol=1e-5)
    before = before._replace(
        write=before.write._replace(kernel=after.write.kernel, gate=after.write.gate)
    )
    for got, kept in zip(after, before, strict=True):
        for part, same in zip(got, kept, strict=True):
            assert_close(part, same, rtol=0, atol=0)


def test_a_lean_of_heads_that_cannot_shift_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^forward_bias: heads with a shift range"):
        heads.Heads(3, WIDTH, 1, 0).lean(3.0)
    heads.Heads(3, WIDTH, 1, 0).lean(0.0, -2.0)  # it has a gate


@pytest.mark.parametrize("size", [WIDTH + 3, WIDTH + 5, 2])
def test_a_focus_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"^raw: got {size} numbers a head, needs 4"):
        heads.address_parameters(torch.zeros(1, size), WIDTH)


def test_an_odd_change_and_whole_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^raw: got 3 numbers, needs 2W"):
        heads.write_parameters(torch.zeros(3))
    with pytest.raises(TypeError, match=r"^raw: got torch.int64, needs a floating"):
        heads.write_parameters(torch.zeros(4, dtype=torch.int64))
