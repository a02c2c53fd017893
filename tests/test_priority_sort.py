"""Priority sort is the paper's 4.5: whole vectors are sorted, by their priority alone."""

from typing import Any

import pytest
import torch

from ntm.tasks import PrioritySort, cost_in_bits, wrong_bits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_sort_by_hand() -> None:
    """Of four vectors three: 0.75, then 0.5, then −0.25; −1 is left out."""
    task = PrioritySort(bits=2, vectors=4, highest=3)
    inputs, targets, mask = task.from_words(["10:0.5", "11:-1", "01:0.75", "00:-.25"])
    seen = [[1, 0, 0.5], [1, 1, -1], [0, 1, 0.75], [0, 0, -0.25]]
    assert inputs[:, 0].tolist() == [*seen, *[[0, 0, 0]] * 3]
    assert targets[:, 0].tolist() == [*[[0, 0]] * 4, [0, 1], [1, 0], [0, 0]]
    assert mask[:, 0].tolist() == [0.0] * 4 + [1.0] * 3


@pytest.mark.parametrize("delimiter", [False, True])
@pytest.mark.parametrize("size", [(20, 16), (1, 1), (7, 7), (30, 4)])
def test_a_sort_is_that_of_plain_loops(delimiter: bool, size: tuple[int, int]) -> None:
    task = PrioritySort(delimiter=delimiter)
    inputs, targets, mask = task.batch(generator(), 5, *size)
    number, highest = size
    for n in range(5):
        steps = iter(zip(inputs[:, n].tolist(), targets[:, n].tolist(), strict=True))
        left = []
        for _ in range(number):
            step, due = next(steps)
            assert set(step[:8]) <= {0, 1}
            assert -1 <= step[8] <= 1
            assert sum(step[9:]) == sum(due) == 0
            left.append((step[8], step[:8]))
        if delimiter:
            assert next(steps) == ([0] * 9 + [1], [0] * 8)
        for _ in range(highest):
            best = left[0]
            for one in left:
                if one[0] > best[0]:
                    best = one
            left.remove(best)
            step, due = next(steps)
            assert set(step) == {0}
            assert due == best[1]
        assert list(steps) == []
        begin = number + delimiter
        assert mask[:, n].tolist() == [0.0] * begin + [1.0] * highest


def test_bits_are_fair_and_priorities_even_and_neither_knows_of_the_other() -> None:
    inputs, targets, _ = PrioritySort().batch(generator(), 4000, 20, 16)
    assert inputs.shape[0] == 36
    bits, priorities = inputs[:20, :, :8], inputs[:20, :, 8]
    assert 0.495 < bits.mean() < 0.505
    shares = priorities.flatten().histc(10, -1, 1) / priorities.numel()
    assert all(0.095 < share < 0.105 for share in shares.tolist())
    both = torch.stack([bits[..., 0].flatten(), priorities.flatten()])
    assert abs(torch.corrcoef(both)[0, 1]) < 0.02
    assert 0.49 < targets[20:].mean() < 0.51


def test_of_equal_priorities_the_earlier_comes_first() -> None:
    batch = PrioritySort().from_words([f"{n:08b}:0" for n in range(256)])
    assert torch.equal(batch.targets[256:], batch.inputs[:16, :, :8])


def test_only_the_right_order_is_exact() -> None:
    """Two neighbours exchanged are as many wrong bits as they differ in, twice."""
    task = PrioritySort(bits=3)
    batch = task.from_words(["100:0.3", "111:0.2", "001:0.1"])
    logits = 9.0 * (2 * batch.targets - 1)
    assert wrong_bits(logits, batch).tolist() == [0]
    assert cost_in_bits(logits, batch).item() < 0.01
    logits[[3, 4]] = logits[[4, 3]]
    assert wrong_bits(logits, batch).tolist() == [4]


def test_the_ranks_said_by_hand() -> None:
    """Ranks 0 to 3 are 100, 111, 001 and 111 again, of which the first two are due."""
    words = ["001:-0.2", "111:0.5", "100:0.8", "111:-1"]
    for delimiter in (False, True):
        task = PrioritySort(bits=3, highest=2, delimiter=delimiter)
        batch = task.from_words(words)

        def said(*answers: str, task: Any = task, batch: Any = batch) -> list[int]:
            logits = torch.full_like(batch.targets, 9.0)
            given = torch.tensor([[float(bit) for bit in word] for word in answers])
            logits[-2:, 0] = given - 0.5
            ranks = task.ranks_said(logits, batch)
            assert ranks.shape == (2, 1)
            return ranks[:, 0].tolist()

        assert said("100", "111") == [0, 1]
        assert said("111", "100") == [1, 0]
        assert said("101", "001") == [0, 2]  # one bit from 100, from 111 and from 001


def test_the_right_answers_are_said_to_be_in_order_also_where_vectors_are_alike() -> (
    None
):
    task = PrioritySort(bits=2)
    batch = task.batch(generator(), 50, 20, 16)
    said = task.ranks_said(2 * batch.targets - 1, batch)
    assert torch.equal(said, torch.arange(16).unsqueeze(-1).expand(16, 50))
    alike = PrioritySort(bits=8).batch(generator(), 50, 9, 9)
    flipped = torch.cat([alike.targets[:9], alike.targets[9:].flip(0)])
    ranks = PrioritySort(bits=8).ranks_said(2 * flipped - 1, alike)
    share = (ranks == torch.arange(8, -1, -1).unsqueeze(-1)).double().mean()
    assert share > 0.9  # where two are alike, the nearer one is meant


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "bits: got 0, needs at least 1"),
        ({"vectors": 0}, "vectors: got 0, needs at least 1"),
        ({"highest": 0}, "highest: got 0, needs at least 1"),
        ({"highest": 21}, "highest: got 21, needs at most 20: no more are shown"),
        ({"vectors": 15}, "highest: got 16, needs at most 15: no more are shown"),
        ({"highest": 1.5}, "highest: got 1.5, needs a whole number"),
    ],
)
def test_an_impossible_sort_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        PrioritySort(**settings)


def test_a_sort_of_nothing_or_of_more_than_is_shown_is_refused() -> None:
    task = PrioritySort()
    for size, message in (
        ((0, 1), "vectors: got 0, needs at least 1"),
        ((3, 0), "highest: got 0, needs at least 1"),
        ((3, 4), "highest: got 4, needs at most 3"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            task.batch(generator(), 1, *size)
    with pytest.raises(ValueError, match=r"^batch_size: got 0, needs at least 1"):
        task.batch(generator(), 0, 3, 3)


def test_a_sort_that_is_typed_says_what_it_takes() -> None:
    task = PrioritySort(bits=3, vectors=5, highest=2)
    assert task.from_words(["101:1"] * 4).mask.sum() == 2
    assert task.from_words(["101:1"]).mask.sum() == 1
    for word in ("101", "101:", "101:2", "101:-1.1", "101:nan", "101:x", "101:1e-2"):
        needs = "needs 3 of 0 and 1 and a priority from -1 to 1, as in 101:-0.3"
        with pytest.raises(ValueError, match=rf"^bits: got {word}, {needs}"):
            task.from_words(["101:0", word])
    with pytest.raises(ValueError, match=r"^bits: got 10, needs 3 of 0 and 1"):
        task.from_words(["10:0.5"])


def test_there_is_one_size_of_training() -> None:
    task, own = PrioritySort(vectors=9, highest=4), generator()
    before = own.get_state()
    assert task.draw_size(own) == task.test_size == (9, 4)
    assert torch.equal(own.get_state(), before)
    assert task.table == task.trials(128) == task.trials(None) == [(9, 4)]
    assert task.optimum_bits(9, 4) == 0
