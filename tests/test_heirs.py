"""`ntm.heirs` against loops over the published equations, and against the NTM's write.

The loops take one number after the other from Python lists, as `tests/oracle.py` does;
memories are rows of keys by columns of values.
"""

import math

import oracle
import pytest
import torch
from mechanics import N, W, between, direction, rows, vector, weighting
from torch import Tensor
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.testing import assert_close

from ntm import addressing, heirs, memory

Vector = list[float]
Matrix = list[list[float]]
ONES = torch.ones(W, dtype=torch.float64)
SMALL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def one_hot(place: int) -> Tensor:
    return torch.eye(N, dtype=torch.float64)[place]


def step(
    state: Matrix,
    key: Vector,
    value: Vector,
    rate: float,
    decay: Vector,
    erase_key: Vector,
    erase_rate: float,
) -> Matrix:
    """S′ = (I − β k kᵀ) (I − γ e eᵀ) Diag(α) S + β k vᵀ as three products of matrices."""
    n, width = len(state), len(state[0])

    def identity_less(factor: float, u: Vector) -> Matrix:
        return [
            [float(i == j) - factor * u[i] * u[j] for j in range(n)] for i in range(n)
        ]

    def times(left: Matrix, right: Matrix) -> Matrix:
        columns = list(zip(*right, strict=True))
        return [
            [sum(a * b for a, b in zip(row, c, strict=True)) for c in columns]
            for row in left
        ]

    diagonal = [[decay[i] * (i == j) for j in range(n)] for i in range(n)]
    moved = times(
        identity_less(rate, key), times(identity_less(erase_rate, erase_key), diagonal)
    )
    kept = times(moved, state)
    return [
        [kept[i][c] + rate * key[i] * value[c] for c in range(width)] for i in range(n)
    ]


def test_attention_is_that_of_torch() -> None:
    keys, values = rows(3), torch.randn(3, N, 4, dtype=torch.float64)
    queries = torch.randn(3, 6, W, dtype=torch.float64)
    theirs = scaled_dot_product_attention(queries, keys, values)
    assert_close(heirs.attention(keys, values, queries), theirs)
    one_by_one = [
        heirs.attention(keys, values, queries[:, t]) for t in range(queries.shape[1])
    ]
    assert_close(torch.stack(one_by_one, dim=1), theirs)


def test_attention_is_content_with_the_lengths_as_strengths() -> None:
    """The loop takes the cosines of the oracle, and a strength a row."""
    keys, query = rows(), vector()
    cosines = oracle.cosine_similarity(query.tolist(), keys.tolist())
    lengths = [math.sqrt(sum(x * x for x in row)) for row in keys.tolist()]
    length = math.sqrt(sum(x * x for x in query.tolist()))
    powers = [
        math.exp(length * own / math.sqrt(W) * cosine)
        for own, cosine in zip(lengths, cosines, strict=True)
    ]
    expected = [power / sum(powers) for power in powers]
    assert_close(heirs.attention_weighting(keys, query), tensor(expected))


def test_with_normalised_keys_attention_is_content_at_strength_root_of_the_width() -> (
    None
):
    keys, query = rows(4), vector(4)
    unit_rms = [normalize(x, dim=-1) * W**0.5 for x in (keys, query)]
    assert_close(
        heirs.attention_weighting(*unit_rms),
        addressing.content_weighting(keys, query, strength=W**0.5),
    )


def test_a_cache_is_a_memory_whose_head_goes_to_a_fresh_row_each_step() -> None:
    """Causal attention over T steps, by T writes and T reads of one growing memory."""
    steps, width = 6, 4
    q, k, v = torch.randn(3, steps, width, dtype=torch.float64)
    theirs = scaled_dot_product_attention(q, k, v, is_causal=True)
    cache = torch.zeros(steps, 2 * width, dtype=torch.float64)
    head = torch.eye(steps, dtype=torch.float64)[-1]
    ahead = tensor([0.0, 0.0, 1.0])
    ours = []
    for t in range(steps):
        head = addressing.shift(head, ahead)
        everything = torch.ones(2 * width, dtype=torch.float64)
        row = torch.cat([k[t], v[t]])
        cache, before = memory.write(cache, head, everything, row), cache
        assert torch.equal(cache, memory.add(before, head, row))  # it erases nothing
        keys, values = cache[: t + 1].split(width, dim=-1)
        ours.append(heirs.attention(keys, values, q[t]))
    assert_close(torch.stack(ours), theirs)


def test_to_look_and_step_on_is_to_look_among_rows_that_have_stepped_on() -> None:
    keys, query = rows(), vector()
    ahead = tensor([0.0, 0.0, 1.0])
    for look in (
        heirs.attention_weighting,
        lambda m, k: addressing.content_weighting(m, k, strength=5.0),
    ):
        stepped = look(keys.roll(1, dims=0), query)
        assert_close(addressing.shift(look(keys, query), ahead), stepped)


def test_fast_weights_are_the_sum_of_faded_outer_products() -> None:
    state, steps, rate, decay = rows(), 5, 0.5, 0.9
    keys, values = torch.randn(steps, N).double(), torch.randn(steps, W).double()
    expected = [[decay**steps * x for x in row] for row in state.tolist()]
    for t in range(steps):
        for i in range(N):
            for c in range(W):
                share = rate * decay ** (steps - 1 - t)
                expected[i][c] += share * float(keys[t, i] * values[t, c])
    for key, value in zip(keys, values, strict=True):
        state = heirs.fast_weights(state, key, value, rate, decay)
    assert_close(state, tensor(expected))


def test_fast_weights_that_do_not_fade_are_a_write_that_does_not_erase() -> None:
    m, w, v = rows(), weighting(), vector()
    assert_close(heirs.fast_weights(m, w, v), memory.write(m, w, 0 * ONES, v))


def test_linear_attention_is_the_sum_over_all_steps_divided_by_its_weights() -> None:
    steps = 6
    keys, values = torch.randn(steps, N).double(), torch.randn(steps, W).double()
    query = torch.randn(N).double()

    def likeness(t: int) -> float:
        """φ(q) · φ(k), with φ(x) = x + 1 for x > 0 and eˣ otherwise."""
        phi = [
            [x + 1 if x > 0 else math.exp(x) for x in u.tolist()]
            for u in (query, keys[t])
        ]
        return sum(a * b for a, b in zip(*phi, strict=True))

    weights = [likeness(t) for t in range(steps)]
    expected = [
        sum(weights[t] * float(values[t, c]) for t in range(steps)) / sum(weights)
        for c in range(W)
    ]
    state = torch.zeros(N, W + 1, dtype=torch.float64)
    for key, value in zip(keys, values, strict=True):
        state = heirs.linear_attention(state, key, value)
    assert_close(heirs.linear_attention_read(state, query), tensor(expected))


def test_linear_attention_is_a_write_that_does_not_erase() -> None:
    m, k, v = rows(w=W + 1), rows()[:, 0], vector()
    features = torch.where(k > 0, k + 1, k.exp())
    nothing, value = torch.zeros(W + 1).double(), torch.cat([v, v.new_ones(1)])
    written = memory.write(m, features, nothing, value)
    assert_close(heirs.linear_attention(m, k, v), written)


@pytest.mark.parametrize("name", ["delta", "gated", "kimi", "erase_then_delta"])
def test_each_delta_rule_is_its_product_of_matrices(name: str) -> None:
    m, k, v, u = rows(), direction(), vector(), direction()
    rate, erase_rate, decay, decays = 1.3, 0.7, 0.9, between(0, 1, N)
    nowhere, keep = [0.0] * N, [1.0] * N
    parts = m.tolist(), k.tolist(), v.tolist(), rate
    ours, theirs = {
        "delta": (heirs.delta(m, k, v, rate), step(*parts, keep, nowhere, 0)),
        "gated": (
            heirs.gated_delta(m, k, v, rate, decay),
            step(*parts, [decay] * N, nowhere, 0),
        ),
        "kimi": (
            heirs.kimi_delta(m, k, v, rate, decays),
            step(*parts, decays.tolist(), nowhere, 0),
        ),
        "erase_then_delta": (
            heirs.erase_then_delta(m, k, v, rate, decays, u, erase_rate),
            step(*parts, decays.tolist(), u.tolist(), erase_rate),
        ),
    }[name]
    assert_close(ours, tensor(theirs))


def test_the_delta_rule_is_a_step_down_the_slope_of_the_squared_error() -> None:
    m, k, v, rate = rows().requires_grad_(), direction(), vector(), 0.7
    (slope,) = torch.autograd.grad(((k @ m - v) ** 2).sum() / 2, m)
    assert_close(heirs.delta(m, k, v, rate), m - rate * slope)


def test_rwkv7_is_the_loop_over_its_entries() -> None:
    m, k, v, u = rows(), rows()[:, 0], vector(), direction()
    decay, rate = between(0, 1, N), between(0, 1, N)
    expected = [
        [
            float(decay[i] * m[i, c])
            - float(rate[i] * u[i]) * sum(float(u[j] * m[j, c]) for j in range(N))
            + float(k[i] * v[c])
            for c in range(W)
        ]
        for i in range(N)
    ]
    assert_close(heirs.rwkv7(m, k, v, decay, u, rate), tensor(expected))


def test_rwkv7_that_removes_where_it_adds_and_fades_nothing_is_the_delta_rule() -> None:
    m, k, v, rate = rows(), direction(), vector(), 0.6
    keep, rates = torch.ones(N).double(), torch.full((N,), rate).double()
    assert_close(
        heirs.rwkv7(m, rate * k, v, keep, k, rates), heirs.delta(m, k, v, rate)
    )


def test_gated_slots_are_the_write_with_erase_vector_one() -> None:
    m, v, decay = rows(), vector(), between(0, 1, N)
    expected = [
        [float(decay[i] * m[i, c] + (1 - decay[i]) * v[c]) for c in range(W)]
        for i in range(N)
    ]
    assert_close(heirs.gated_slots(m, v, decay), tensor(expected))
    assert_close(heirs.gated_slots(m, v, decay), memory.write(m, 1 - decay, ONES, v))


def test_a_write_that_reads_first_is_the_delta_rule() -> None:
    m, w, v, rate = rows(4), weighting(4), vector(4), 0.8
    correction = rate * (v - memory.read(m, w))
    written = memory.write(m, w, torch.zeros_like(v), correction)
    assert_close(heirs.delta(m, w, v, rate), written)


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_at_one_hot_weightings_every_delta_rule_is_a_write(rate: float) -> None:
    m, w, v, u, decay = rows(), one_hot(2), vector(), one_hot(4), between(0, 1, N)
    written = memory.write(m, w, rate * ONES, rate * v)
    assert_close(heirs.delta(m, w, v, rate), written)
    faded = memory.erase(m, 1 - decay, ONES)
    written = memory.write(faded, w, rate * ONES, rate * v)
    assert_close(heirs.kimi_delta(m, w, v, rate, decay), written)
    cleared = memory.erase(faded, u, 0.5 * ONES)
    written = memory.write(cleared, w, rate * ONES, rate * v)
    assert_close(heirs.erase_then_delta(m, w, v, rate, decay, u, 0.5), written)
    faded = memory.erase(m, weighting=torch.full((N,), 0.1).double(), erase_vector=ONES)
    written = memory.write(faded, w, rate * ONES, rate * v)
    assert_close(heirs.gated_delta(m, w, v, rate, 0.9), written)


def test_what_write_and_delta_rule_differ_by() -> None:
    """With e = η and a = η v: by η w(i) (r − M(i)), a row in the place of the mean."""
    m, w, v, rate = rows(), weighting(), vector(), 0.8
    written = memory.write(m, w, rate * ONES, rate * v)
    gap = rate * w.unsqueeze(-1) * (memory.read(m, w) - m)
    assert_close(written - heirs.delta(m, w, v, rate), gap)


def test_write_and_delta_rule_by_hand() -> None:
    m, w, v = tensor([[4, 0], [0, 4]]), tensor([0.75, 0.25]), tensor([0, 8])
    written = memory.write(m, w, tensor([1, 1]), v)
    assert written.tolist() == [[1, 6], [0, 5]]
    assert memory.read(written, w).tolist() == [0.75, 5.75]
    corrected = heirs.delta(m, w, v, rate=1.0)
    assert corrected.tolist() == [[1.75, 5.25], [-0.75, 5.75]]
    assert memory.read(corrected, w).tolist() == [1.125, 5.375]
    exact = heirs.delta(m, w, v, rate=1.6)
    assert_close(exact, tensor([[0.4, 8.4], [-1.2, 6.8]]))


def test_what_is_read_back_after_write_and_delta_rule() -> None:
    m, w, v, rate = rows(), weighting(), vector(), 0.9
    r, length = memory.read(m, w), float(w @ w)
    back = memory.read(heirs.delta(m, w, v, rate), w)
    assert_close(back, (1 - rate * length) * r + rate * length * v)
    back = memory.read(heirs.delta(m, w, v, rate=1 / length), w)
    assert_close(back, v)
    back = memory.read(memory.write(m, w, ONES, v), w)
    assert_close(back, r + length * v - (w**2) @ m)


def test_what_a_write_multiplies_by_and_what_the_delta_rule_does() -> None:
    """The change of the memory, as a matrix on one column, has these eigenvalues."""
    w, k, e, rate = weighting(), direction(), between(0, 1, W), 1.7
    nothing = torch.zeros(W).double()
    for column in range(W):
        jacobian = torch.func.jacrev(memory.write)(rows(), w, e, nothing)
        matrix = jacobian[:, column, :, column]
        assert_close(matrix, torch.diag(1 - w * e[column]))
    jacobian = torch.func.jacrev(heirs.delta)(rows(), k, nothing, rate)
    found = torch.linalg.eigvalsh(jacobian[:, 0, :, 0])
    expected = torch.ones(N).double()
    expected[0] = 1 - rate
    assert_close(found, expected)


def test_one_delta_step_swaps_two_rows() -> None:
    m = rows()
    k = (one_hot(1) - one_hot(4)) / 2**0.5
    swapped = heirs.delta(m, k, 0 * ONES, rate=2.0)
    assert_close(swapped, m[[0, 4, 2, 3, 1, 5, 6]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: heirs.delta(SMALL, SMALL[0], torch.zeros(3), 1.0),
            "value: got shape (3,), needs (2,) to match memory of shape (2, 2)",
        ),
        (
            lambda: heirs.linear_attention(SMALL, SMALL[0], SMALL[0]),
            "value: got shape (2,), needs (1,) to match memory of shape (2, 2)",
        ),
        (
            lambda: heirs.gated_slots(SMALL, SMALL[0], 0.5),  # type: ignore[arg-type]
            "decay: got float, needs a torch.Tensor",
        ),
        (
            lambda: heirs.attention(SMALL, torch.zeros(3, 2), SMALL[0]),
            "weighting: got shape (2,), needs (3,) or (heads, 3) to match memory of "
            "shape (3, 2)",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_got_and_needs(
    call, message: str
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == message
