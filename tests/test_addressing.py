"""`ntm.addressing` against the paper's sums, and against the mistakes that others have made."""

import math

import oracle
import pytest
import strategies as some
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import numbers, tensor
from torch import Tensor
from torch.testing import assert_close

from ntm import addressing


def is_distribution(weighting: Tensor, tolerance: float = 1e-6) -> bool:
    total = weighting.double().sum(-1)
    return bool((weighting >= 0).all()) and bool(((total - 1).abs() <= tolerance).all())


# --- against the paper, number by number ---------------------------------------------------------


@given(st.data())
def test_cosine_similarity_is_equation_6(data: st.DataObject) -> None:
    n, width = data.draw(some.locations), data.draw(some.widths)
    long_enough = some.vectors(width).filter(
        lambda v: math.hypot(*v) > addressing.SHORTEST
    )
    key, rows = (
        data.draw(long_enough),
        data.draw(st.lists(long_enough, min_size=n, max_size=n)),
    )
    ours = addressing.cosine_similarity(tensor(key), tensor(rows))
    assert_close(ours, tensor(oracle.cosine_similarity(key, rows)))


@given(st.data(), numbers(0, 50))
def test_content_weighting_is_equation_5(data: st.DataObject, strength: float) -> None:
    n, width = data.draw(some.locations), data.draw(some.widths)
    long_enough = some.vectors(width).filter(
        lambda v: math.hypot(*v) > addressing.SHORTEST
    )
    key, rows = (
        data.draw(long_enough),
        data.draw(st.lists(long_enough, min_size=n, max_size=n)),
    )
    ours = addressing.content_weighting(tensor(rows), tensor(key), strength)
    assert_close(ours, tensor(oracle.content_weighting(rows, key, strength)))


@given(st.data(), numbers(0, 1))
def test_interpolate_is_equation_7(data: st.DataObject, gate: float) -> None:
    n = data.draw(some.locations)
    content, previous = data.draw(some.weightings(n)), data.draw(some.weightings(n))
    ours = addressing.interpolate(tensor(content), tensor(previous), gate)
    assert_close(ours, tensor(oracle.interpolate(content, previous, gate)))


@given(st.data())
def test_shift_is_equation_8(data: st.DataObject) -> None:
    n = data.draw(some.locations)
    w, kernel = data.draw(some.weightings(n)), data.draw(some.kernels(n))
    assert_close(
        addressing.shift(tensor(w), tensor(kernel)), tensor(oracle.shift(w, kernel))
    )


@given(st.data(), numbers(1, 40))
def test_sharpen_is_equation_9(data: st.DataObject, exponent: float) -> None:
    w = data.draw(data.draw(some.locations.map(some.weightings)))
    ours = addressing.sharpen(tensor(w), exponent)
    assert_close(ours, tensor(oracle.sharpen(w, exponent)))


@given(st.data(), numbers(0, 20), numbers(0, 1), numbers(1, 10))
def test_address_runs_the_four_stages_in_the_order_of_figure_2(
    data: st.DataObject, strength: float, gate: float, exponent: float
) -> None:
    n = data.draw(some.locations)
    rows = torch.randn(n, 4, dtype=torch.float64)
    key = torch.randn(4, dtype=torch.float64)
    previous, kernel = data.draw(some.weightings(n)), data.draw(some.kernels(n))
    content = oracle.content_weighting(rows.tolist(), key.tolist(), strength)
    gated = oracle.interpolate(content, previous, gate)
    shifted = oracle.shift(gated, kernel)
    sharpened = oracle.sharpen(shifted, exponent)
    ours = addressing.address(
        rows, tensor(previous), key, strength, gate, tensor(kernel), exponent
    )
    assert ours._fields == ("content", "gated", "shifted", "sharpened")
    assert_close(torch.stack(ours), tensor([content, gated, shifted, sharpened]))
    assert ours.weighting is ours.sharpened


# --- a weighting stays a weighting ---------------------------------------------------------------


@given(
    some.batches,
    some.locations,
    some.seeds,
    numbers(0, 100),
    numbers(0, 1),
    numbers(1, 100),
)
def test_every_stage_is_a_distribution_in_float32(
    batch: tuple[int, ...],
    n: int,
    seed: int,
    strength: float,
    gate: float,
    exponent: float,
) -> None:
    draw = torch.Generator().manual_seed(seed)
    reach = int(torch.randint((n - 1) // 2 + 1, (), generator=draw))
    logits = [torch.randn(*batch, size, generator=draw) for size in (n, 2 * reach + 1)]
    previous, kernel = (torch.softmax(4 * x, dim=-1) for x in logits)
    rows = 10 * torch.randn(*batch, n, 5, generator=draw)
    key = torch.randn(*batch, 5, generator=draw)
    stages = addressing.address(rows, previous, key, strength, gate, kernel, exponent)
    assert all(
        stage.shape == (*batch, n) and is_distribution(stage) for stage in stages
    )


@pytest.mark.parametrize("steps", [200])
def test_a_thousand_locations_keep_their_mass_over_many_steps(steps: int) -> None:
    w = torch.zeros(1024)
    w[0] = 1
    kernel = torch.tensor([0.1, 0.2, 0.7])
    for _ in range(steps):
        w = addressing.sharpen(addressing.shift(w, kernel), 1.1)
    assert is_distribution(w, tolerance=1e-5)


# --- content -------------------------------------------------------------------------------------


def test_similarity_is_1_for_the_same_direction_and_minus_1_for_the_opposite() -> None:
    key = tensor([3.0, 4.0])
    rows = tensor([[3, 4], [30, 40], [-3, -4], [-4, 3]])
    assert_close(addressing.cosine_similarity(key, rows), tensor([1, 1, -1, 0]))


def test_each_row_is_measured_by_its_own_length() -> None:
    """A norm over the whole memory would let one long row dim all the others."""
    rows = tensor([[1, 0], [1000, 0], [0, 0.01]])
    assert_close(addressing.cosine_similarity(tensor([1, 0]), rows), tensor([1, 1, 0]))


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str
)
@pytest.mark.parametrize("zero", ["key", "row", "both"])
def test_zero_rows_and_keys_resemble_nothing_and_have_finite_gradients(
    zero: str, dtype: torch.dtype
) -> None:
    key = torch.tensor([1.0, 2, 3], dtype=dtype)
    rows = torch.tensor([[1.0, 2, 3], [3, 2, 1], [1, 0, 0]], dtype=dtype)
    if zero != "row":
        key.zero_()
    if zero != "key":
        rows[1].zero_()
    key.requires_grad_()
    rows.requires_grad_()
    similarity = addressing.cosine_similarity(key, rows)
    assert similarity[1] == 0
    addressing.content_weighting(rows, key, 5.0)[0].backward()
    for gradient in (key.grad, rows.grad):
        assert gradient is not None
        assert gradient.isfinite().all()


def test_gradients_are_right_at_zero_rows_and_keys() -> None:
    rows = tensor([[0, 0, 0], [1, -2, 0.5]]).requires_grad_()
    for key in (tensor([0.3, 0.2, -0.1]), tensor([0, 0, 0])):
        arguments = (rows, key.requires_grad_(), tensor([4.0]).requires_grad_())
        assert torch.autograd.gradcheck(addressing.content_weighting, arguments)


def test_a_large_strength_focuses_on_one_location_without_overflow() -> None:
    rows, key = tensor([[1, 0], [0.9, 0.1], [0, 1]]).float(), torch.tensor([1.0, 0.0])
    focused = addressing.content_weighting(rows, key, 1e4)
    assert_close(focused, torch.tensor([1.0, 0.0, 0.0]))


def test_strength_0_weighs_all_locations_alike() -> None:
    assert_close(
        addressing.content_weighting(torch.randn(4, 3), torch.randn(3), 0),
        torch.full((4,), 0.25),
    )


@pytest.mark.parametrize("context", [1, 3, 5])
@pytest.mark.parametrize("strength", [0.0, 2.0, 20.0])
def test_a_soft_look_hears_each_sign_through_noise(
    context: int, strength: float
) -> None:
    """Among all rows of so many signs the weight is a product over the signs."""
    rows = [[2 * (n >> j & 1) - 1 for j in range(context)] for n in range(2**context)]
    key = rows[-2]
    ours = addressing.content_weighting(tensor(rows), tensor(key), strength)
    for row, weight in zip(rows, ours.tolist(), strict=True):
        product = 1.0
        for k, c in zip(key, row, strict=True):
            product /= 1 + math.exp(-2 * strength / context * k * c)
        assert weight == pytest.approx(product)


@given(st.lists(st.booleans(), max_size=9), st.lists(st.booleans(), max_size=9))
def test_a_poll_with_one_silent_row_is_the_best_guess(
    votes: list[bool], of_others: list[bool]
) -> None:
    """Of the rows that match the key, n1 vote 1 and n0 vote -1; others do not count."""
    context, other, signs = [1, -1, 1, 1, -1], [1, -1, 1, 1, 1], 5
    voice = signs / math.sqrt(signs + 1)
    rows = [[*context, 2 * vote - 1, 0] for vote in votes]
    rows += [[*other, 2 * vote - 1, 0] for vote in of_others]
    memory = tensor([*rows, [0] * 6 + [1]])
    look = addressing.content_weighting(memory, tensor([*context, 0, voice]), 100.0)
    n1, n0 = votes.count(True), votes.count(False)
    read_vector = look @ memory
    assert float(read_vector[5]) == pytest.approx((n1 - n0) / (n1 + n0 + 1), abs=1e-6)


def test_a_priority_as_a_direction_is_as_similar_as_its_sine() -> None:
    """To a key that points up, when the angle above the level is a quarter of pi."""
    up = tensor([1.0, 0.0])
    for priority in (-1.0, -0.3, 0.0, 0.5, 1.0):
        angle = math.pi / 4 * priority
        row = [math.sin(angle), math.cos(angle)]
        (similarity,) = addressing.cosine_similarity(up, tensor([row])).tolist()
        assert similarity == pytest.approx(math.sin(angle))


def test_several_keys_look_at_one_memory() -> None:
    rows, keys = torch.randn(2, 6, 4), torch.randn(2, 3, 4)
    strengths = torch.rand(2, 3)
    together = addressing.content_weighting(rows, keys, strengths)
    for head in range(3):
        alone = addressing.content_weighting(rows, keys[:, head], strengths[:, head])
        assert_close(together[:, head], alone)


# --- gate ----------------------------------------------------------------------------------------


def test_gate_1_is_the_content_and_gate_0_the_previous_weighting() -> None:
    content, previous = tensor([0.2, 0.8]), tensor([0.6, 0.4])
    assert addressing.interpolate(content, previous, 1).tolist() == [0.2, 0.8]
    assert addressing.interpolate(content, previous, 0).tolist() == [0.6, 0.4]
    assert_close(addressing.interpolate(content, previous, 0.25), tensor([0.5, 0.5]))


# --- shift ---------------------------------------------------------------------------------------


def test_shift_by_plus_one_moves_the_focus_forward() -> None:
    """A cross-correlation would move it backward."""
    forward = addressing.shift(tensor([0, 1, 0, 0]), tensor([0, 0, 1]))
    assert forward.tolist() == [0, 0, 1, 0]


def test_shift_goes_round_the_end() -> None:
    """Zero padding would lose the mass."""
    w, forward, back = tensor([1, 0, 0, 0]), tensor([0, 0, 1]), tensor([1, 0, 0])
    assert addressing.shift(w, back).tolist() == [0, 0, 0, 1]
    assert addressing.shift(w.flip(0), forward).tolist() == [1, 0, 0, 0]


def test_the_kernel_in_the_middle_is_the_identity() -> None:
    w = tensor([0.1, 0.2, 0.3, 0.4])
    assert addressing.shift(w, tensor([0, 1, 0])).tolist() == w.tolist()
    assert addressing.shift(w, tensor([1])).tolist() == w.tolist()


def test_each_weighting_of_a_batch_is_moved_by_its_own_kernel() -> None:
    w = tensor([[1, 0, 0], [1, 0, 0]])
    kernels = tensor([[0, 0, 1], [1, 0, 0]])
    assert addressing.shift(w, kernels).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert addressing.shift(w, kernels[0]).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_a_kernel_may_be_as_wide_as_the_memory() -> None:
    w, kernel = [0.5, 0.3, 0.2], [0.2, 0.1, 0.7]
    assert_close(
        addressing.shift(tensor(w), tensor(kernel)), tensor(oracle.shift(w, kernel))
    )


def test_a_shift_by_any_number_finds_the_place_of_a_priority() -> None:
    """The two nearest offsets share the kernel; sharpening decides for the nearer."""
    reach = 8
    marker = tensor([float(i == reach) for i in range(2 * reach + 1)])
    for priority in (-1.0, -0.52, 0.0, 0.3, 0.98):
        x = max(-reach, min(reach, (reach + 0.5) * priority))
        kernel = [max(0.0, 1 - abs(j - x)) for j in range(-reach, reach + 1)]
        moved = addressing.shift(marker, tensor(kernel))
        mean = sum(i * w for i, w in enumerate(moved.tolist())) - reach
        assert mean == pytest.approx(x)
        nearest = addressing.sharpen(moved, 50.0)
        assert nearest[reach + round(x)] > 0.99


# --- sharpening ----------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [1.1, 1.5, 2.0, 3.0, 10.0])
def test_a_head_keeps_its_place_up_to_the_border_and_no_farther(
    exponent: float,
) -> None:
    """Of the kernel, a share stays behind in each step: how much may it be?"""
    border = 1 / (1 + exponent ** (exponent / (exponent - 1)) / (exponent - 1))
    for leak, is_kept in ((border - 0.005, True), (border + 0.005, False)):
        kernel = torch.tensor([0.0, leak, 1 - leak], dtype=torch.float64)
        weighting, ratio = torch.eye(512, dtype=torch.float64)[0], 0.0
        for step in range(1, 301):
            shifted = addressing.shift(weighting, kernel)
            weighting = addressing.sharpen(shifted, exponent)
            if ratio < 1:  # the weight behind by the weight due, whatever else there is
                ratio = (ratio + leak / (1 - leak)) ** exponent
                assert math.isclose(weighting[step - 1] / weighting[step], ratio)
        assert (weighting[300] > 0.5).item() is is_kept


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str
)
@pytest.mark.parametrize("exponent", [1.0, 2.0, 50.0, 100.0, 1e4])
@pytest.mark.parametrize(
    "weighting",
    [[1, 0, 0, 0], [0.25] * 4, [0, 0, 0.5, 0.5], [1e-30, 0, 1, 0], [1e-3] * 4, [0] * 4],
    ids=str,
)
def test_sharpening_is_finite_and_sums_to_1_whatever_it_gets(
    weighting: list[float], exponent: float, dtype: torch.dtype
) -> None:
    """wᵞ / Σ wᵞ as it stands gives 0/0 for many of these: the commonest NaN of all."""
    w = torch.tensor(weighting, dtype=dtype, requires_grad=True)
    gamma = torch.tensor(exponent, dtype=dtype, requires_grad=True)
    sharpened = addressing.sharpen(w, gamma)
    assert is_distribution(sharpened)
    sharpened[0].backward()
    for gradient in (w.grad, gamma.grad):
        assert gradient is not None
        assert gradient.isfinite().all()


@pytest.mark.parametrize("exponent", [2.0, 10.0, 100.0])
def test_gradients_of_sharpening_are_right_for_one_hot_and_smooth_weightings(
    exponent: float,
) -> None:
    gamma = tensor([exponent]).requires_grad_()
    for weighting in ([1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]):
        assert torch.autograd.gradcheck(
            addressing.sharpen, (tensor(weighting).requires_grad_(), gamma)
        )


def test_a_one_hot_weighting_stays_exactly_one_hot() -> None:
    """A constant in the denominator would leak mass."""
    assert addressing.sharpen(torch.eye(5), 3.0).equal(torch.eye(5))
    at_one = addressing.sharpen(torch.eye(5), 1.0)
    assert_close(
        at_one, torch.eye(5), rtol=0, atol=1e-30
    )  # the stand-in for 0, far below it


def test_exponent_1_changes_nothing() -> None:
    w = torch.softmax(torch.randn(9, dtype=torch.float64), dim=-1)
    assert_close(addressing.sharpen(w, 1), w)


def test_a_nan_is_passed_on_and_not_hidden() -> None:
    assert addressing.sharpen(torch.tensor([math.nan, 0.5]), 2.0).isnan().all()


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: addressing.shift(torch.zeros(5), torch.zeros(2)),
            "kernel: got 2 taps, needs an odd number: offsets −R … 0 … +R",
        ),
        (
            lambda: addressing.shift(torch.zeros(3), torch.zeros(5)),
            "kernel: got 5 taps, needs at most one a location: 3",
        ),
        (
            lambda: addressing.shift(torch.zeros(4, 5), torch.zeros(2, 3)),
            "kernel: got shape (2, 3), needs (4, 3) to match weighting of shape (4, 5)",
        ),
        (
            lambda: addressing.shift(torch.zeros(5), torch.tensor(1.0)),
            "kernel: got shape (), needs (…, 2R+1), each at least 1",
        ),
        (
            lambda: addressing.cosine_similarity(torch.zeros(4), torch.zeros(6, 5)),
            "key: got shape (4,), needs (5,) or (heads, 5) to match memory of shape (6, 5)",
        ),
        (
            lambda: addressing.interpolate(torch.zeros(2, 5), torch.zeros(5), 0.5),
            "previous: got shape (5,), needs (2, 5) to match content of shape (2, 5)",
        ),
        (
            lambda: addressing.interpolate(
                torch.zeros(2, 5), torch.zeros(2, 5), torch.zeros(3)
            ),
            "gate: got shape (3,), needs (2,), (2, 1) or a number to match weighting of shape "
            "(2, 5)",
        ),
        (
            lambda: addressing.sharpen(torch.zeros(5), torch.tensor(2)),
            "exponent: got torch.int64, needs a floating-point tensor",
        ),
        (
            lambda: addressing.sharpen(torch.zeros(5), True),
            "exponent: got bool, needs a torch.Tensor",
        ),
        (
            lambda: addressing.content_weighting(
                torch.zeros(6, 5), torch.zeros(5), torch.ones(6)
            ),
            "strength: got shape (6,), needs (), (1,) or a number to match weighting of shape (6,)",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_got_and_needs(
    call, message: str
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_strength_gate_and_exponent_may_or_may_not_keep_a_last_dimension(
    shape: tuple[int, ...],
) -> None:
    rows, key, w = (
        torch.randn(3, 6, 4),
        torch.randn(3, 4),
        torch.softmax(torch.randn(3, 6), -1),
    )
    values = torch.rand(3) + 1
    for function, arguments in (
        (addressing.content_weighting, (rows, key)),
        (addressing.interpolate, (w, w.flip(-1))),
        (addressing.sharpen, (w,)),
    ):
        loop = [
            function(*(a[i] for a in arguments), float(values[i]))  # type: ignore[operator]
            for i in range(3)
        ]
        together = function(*arguments, values.reshape(shape))  # type: ignore[operator]
        assert_close(together, torch.stack(loop))
