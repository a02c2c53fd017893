"""`ntm.memory` against the paper's sums, and against the mistakes that others have made."""

import oracle
import pytest
import strategies as some
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import tensor
from torch.testing import assert_close

from ntm import memory


@given(st.data())
def test_read_erase_add_and_write_are_the_sums_of_the_paper(
    data: st.DataObject,
) -> None:
    n, width = data.draw(some.locations), data.draw(some.widths)
    rows, w = data.draw(some.matrices(n, width)), data.draw(some.weightings(n))
    e, a = data.draw(some.vectors(width, 0, 1)), data.draw(some.vectors(width))
    m = tensor(rows), tensor(w)
    assert_close(memory.read(*m), tensor(oracle.read(rows, w)))
    assert_close(memory.erase(*m, tensor(e)), tensor(oracle.erase(rows, w, e)))
    assert_close(memory.add(*m, tensor(a)), tensor(oracle.add(rows, w, a)))
    written = oracle.add(oracle.erase(rows, w, e), w, a)
    assert_close(memory.write(*m, tensor(e), tensor(a)), tensor(written))


def test_read_by_hand() -> None:
    rows = tensor([[1, 0], [0, 1], [4, 8]])
    assert memory.read(rows, tensor([0.5, 0.25, 0.25])).tolist() == [1.5, 2.25]


def test_a_full_erase_at_one_location_clears_it_and_leaves_the_others() -> None:
    rows = tensor([[1, 2], [3, 4], [5, 6]])
    erased = memory.erase(rows, tensor([0, 1, 0]), torch.ones(2, dtype=torch.float64))
    assert erased.tolist() == [[1, 2], [0, 0], [5, 6]]


def test_erase_and_add_work_channel_by_channel() -> None:
    rows = tensor([[1, 2], [3, 4]])
    written = memory.write(rows, tensor([0, 0.5]), tensor([1, 0]), tensor([0, 10]))
    assert written.tolist() == [[1, 2], [1.5, 9]]


def test_what_is_added_is_not_erased_again() -> None:
    """Erase folded into the add, M + w(a − e ∘ M) with the new M, would give 0 here."""
    rows = torch.zeros(1, 1, dtype=torch.float64)
    one = tensor([1.0])
    assert memory.write(rows, one, erase_vector=one, add_vector=one).item() == 1


def test_all_heads_erase_before_any_head_adds() -> None:
    """Heads applied one after the other would lose what the first one added."""
    rows = tensor([[7.0]])
    weightings, erase_vectors = tensor([[1.0], [1.0]]), tensor([[1.0], [1.0]])
    written = memory.write(
        rows, weightings, erase_vectors, add_vector=tensor([[2.0], [3.0]])
    )
    assert written.item() == 5


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_heads_are_a_loop_over_single_heads(heads: int) -> None:
    rows = torch.randn(4, 6, 5, dtype=torch.float64)
    w = torch.softmax(torch.randn(4, heads, 6, dtype=torch.float64), dim=-1)
    e = torch.rand(4, heads, 5, dtype=torch.float64)
    a = torch.randn(4, heads, 5, dtype=torch.float64)
    expected = rows
    for head in range(heads):
        expected = memory.erase(expected, w[:, head], e[:, head])
    assert_close(memory.erase(rows, w, e), expected)
    for head in range(heads):
        expected = memory.add(expected, w[:, head], a[:, head])
    assert_close(memory.write(rows, w, e, a), expected)
    reads = [memory.read(rows, w[:, head]) for head in range(heads)]
    assert_close(memory.read(rows, w), torch.stack(reads, dim=-2))


def test_the_order_of_the_heads_does_not_matter() -> None:
    rows = torch.randn(6, 5, dtype=torch.float64)
    w = torch.softmax(torch.randn(3, 6, dtype=torch.float64), dim=-1)
    e, a = torch.rand(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    assert_close(
        memory.write(rows, w, e, a), memory.write(rows, w.flip(0), e.flip(0), a.flip(0))
    )


def test_gradients_hold_where_a_hard_erase_meets_a_one_hot_weighting() -> None:
    rows = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    w = tensor([[0, 1, 0], [1, 0, 0]]).requires_grad_()
    e = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    a = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(memory.write, (rows, w, e, a))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: memory.read(torch.zeros(3), torch.zeros(3)),
            r"memory: got shape (3,), needs (…, N, W), each at least 1",
        ),
        (
            lambda: memory.read(torch.zeros(0, 4), torch.zeros(0)),
            r"memory: got shape (0, 4), needs (…, N, W), each at least 1",
        ),
        (
            lambda: memory.read(torch.zeros(2, 6, 4), torch.zeros(2, 5)),
            "weighting: got shape (2, 5), needs (2, 6) or (2, heads, 6) to match memory of shape "
            "(2, 6, 4)",
        ),
        (
            lambda: memory.read(torch.zeros(6, 4), torch.zeros(0, 6)),
            "weighting: got shape (0, 6), needs (6,) or (heads, 6) to match memory of shape (6, 4)",
        ),
        (
            lambda: memory.erase(torch.zeros(6, 4), torch.zeros(6), torch.zeros(6)),
            "erase_vector: got shape (6,), needs (4,) to match weighting of shape (6,)",
        ),
        (
            lambda: memory.add(torch.zeros(6, 4), torch.zeros(2, 6), torch.zeros(4)),
            "add_vector: got shape (4,), needs (2, 4) to match weighting of shape (2, 6)",
        ),
        (
            lambda: memory.write(
                torch.zeros(6, 4),
                torch.zeros(6),
                torch.zeros(4),
                torch.zeros(4, dtype=torch.int64),
            ),
            "add_vector: got torch.int64, needs a floating-point tensor",
        ),
        (
            lambda: memory.read(torch.zeros(6, 4), [1.0, 0, 0, 0, 0, 0]),  # type: ignore[arg-type]
            "weighting: got list, needs a torch.Tensor",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_got_and_needs(
    call, message: str
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == message


def test_rows_and_matrices_are_two_forms_of_one_write() -> None:
    rows, w = (
        torch.randn(6, 5, dtype=torch.float64),
        torch.softmax(torch.randn(6).double(), 0),
    )
    e, a = torch.rand(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    as_matrices = rows * (torch.ones(6, 5) - torch.outer(w, e)) + torch.outer(w, a)
    assert_close(memory.write(rows, w, e, a), as_matrices)


def test_a_memory_of_one_location_is_the_cell_of_an_lstm() -> None:
    """The cell that torch computes, from the gates that torch computes."""
    lstm = torch.nn.LSTMCell(3, 4, dtype=torch.float64)
    x, h, c = (torch.randn(1, size, dtype=torch.float64) for size in (3, 4, 4))
    _, cell = lstm(x, (h, c))
    gates = x @ lstm.weight_ih.T + lstm.bias_ih + h @ lstm.weight_hh.T + lstm.bias_hh
    input_gate, forget_gate, candidate, _ = gates[0].chunk(4)
    written = memory.write(
        c,
        torch.ones(1, dtype=torch.float64),
        erase_vector=1 - forget_gate.sigmoid(),
        add_vector=input_gate.sigmoid() * candidate.tanh(),
    )
    assert_close(written, cell)


def test_the_slope_of_a_read_by_a_weight_is_the_row() -> None:
    rows, w = torch.randn(6, 5), torch.softmax(torch.randn(6), dim=0)
    slope = torch.func.jacrev(memory.read, argnums=1)(rows, w)
    assert_close(slope, rows.T)
