"""What every mechanism promises alike: `tests/mechanics.py` says which there are."""

import itertools
import re

import pytest
import torch
from mechanics import MECHANICS, Mechanism, assert_same

from ntm._checks import require_whole

every_mechanism = pytest.mark.parametrize(
    "mechanism", MECHANICS.values(), ids=MECHANICS.keys()
)


@every_mechanism
@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (2, 1, 3)], ids=str)
def test_a_batch_is_a_loop_of_singles(
    mechanism: Mechanism, batch: tuple[int, ...]
) -> None:
    arguments = mechanism.draw(*batch)
    whole = mechanism(*arguments)
    for index in itertools.product(*map(range, batch)):
        assert_same(whole[index], mechanism(*(a[index] for a in arguments)))


@every_mechanism
def test_vmap_gives_the_same_numbers(mechanism: Mechanism) -> None:
    arguments = mechanism.draw(4, 2)
    assert_same(torch.func.vmap(mechanism)(*arguments), mechanism(*arguments))


@every_mechanism
def test_gradients_are_those_of_finite_differences(mechanism: Mechanism) -> None:
    arguments = tuple(a.requires_grad_() for a in mechanism.draw(2))
    assert torch.autograd.gradcheck(mechanism, arguments)


@every_mechanism
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)],
    ids=str,
)
def test_it_keeps_the_dtype_and_the_numbers(
    mechanism: Mechanism, dtype: torch.dtype, tolerance: float
) -> None:
    arguments = tuple(a.to(dtype) for a in mechanism.draw(3))
    low = mechanism(*arguments)
    high = mechanism(*(a.double() for a in arguments))
    assert low.dtype == dtype
    assert_same(low.double(), high, tolerance)


@every_mechanism
def test_strides_do_not_matter(mechanism: Mechanism) -> None:
    arguments = mechanism.draw(3, 2)
    transposed = tuple(
        a.transpose(0, 1).contiguous().transpose(0, 1) for a in arguments
    )
    every_other = tuple(torch.stack([a, -a], dim=-1)[..., 0] for a in arguments)
    assert not any(a.is_contiguous() for a in transposed + every_other)
    for strided in (transposed, every_other):
        assert_same(mechanism(*strided), mechanism(*arguments))


@every_mechanism
def test_expanded_arguments_are_the_repeated_ones(mechanism: Mechanism) -> None:
    single = mechanism.draw()
    expanded = tuple(a.expand(3, *a.shape) for a in single)
    repeated = tuple(a.clone() for a in expanded)
    assert_same(mechanism(*expanded), mechanism(*repeated))


@every_mechanism
def test_nothing_is_changed_in_place(mechanism: Mechanism) -> None:
    arguments = mechanism.draw(2)
    before = [a.clone() for a in arguments]
    result = mechanism(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))
    result.zero_()
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))


@every_mechanism
def test_whole_numbers_and_lists_are_refused_by_name(mechanism: Mechanism) -> None:
    arguments = mechanism.draw(2)
    names = list(mechanism.function.__annotations__)
    for position, name in enumerate(names[: len(arguments)]):
        for wrong in (arguments[position].int(), arguments[position].tolist(), None):
            spoiled = (*arguments[:position], wrong, *arguments[position + 1 :])
            with pytest.raises(TypeError, match=f"^{name}: got .*, needs "):
                mechanism(*spoiled)


def test_what_is_counted_is_a_whole_number_and_not_too_small() -> None:
    require_whole(1, vectors=1, highest=3)
    for wrong in (1.0, True, "3", None):
        with pytest.raises(TypeError, match=f"^highest: got {wrong!r}, needs a whole "):
            require_whole(1, vectors=1, highest=wrong)
    with pytest.raises(ValueError, match=r"^vectors: got 0, needs at least 1$"):
        require_whole(1, vectors=0, highest=3)


@every_mechanism
def test_a_wrong_size_is_refused_by_name(mechanism: Mechanism) -> None:
    arguments = mechanism.draw(2, 3)
    names = list(mechanism.function.__annotations__)[: len(arguments)]
    # The first argument and the memory set the sizes that the others are held to.
    followers = [
        i for i, name in enumerate(names) if name == "key" or (i and name != "memory")
    ]
    assert followers
    for position in followers:
        right = arguments[position]
        for wrong in (
            right[:1],
            right[0],
            right[..., :-1],
            torch.stack([right, right]),
        ):
            spoiled = (*arguments[:position], wrong, *arguments[position + 1 :])
            shapes = re.escape(str(tuple(wrong.shape)))
            with pytest.raises(
                ValueError, match=f"^{names[position]}: got .*, needs "
            ) as caught:
                mechanism(*spoiled)
            assert re.search(
                f"got shape {shapes}|got {wrong.shape[-1]} taps", str(caught.value)
            )
