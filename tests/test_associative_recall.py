"""Associative recall is the paper's 4.3, and there is one right answer."""

from typing import Any

import pytest
import torch

from ntm.tasks import AssociativeRecall
from ntm.tasks.associative_recall import _seen_before


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_recall_by_hand() -> None:
    """Three items of two vectors of two bits; the second is asked, the third is due."""
    task = AssociativeRecall(bits=2, item_length=2)
    inputs, targets, mask = task.from_words(
        [*["10", "11", "01", "01", "00", "10"], "2"]
    )
    item, query, silence = [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]
    first = [item, [1, 0, 0, 0], [1, 1, 0, 0]]
    second = [item, [0, 1, 0, 0], [0, 1, 0, 0]]
    third = [item, [0, 0, 0, 0], [1, 0, 0, 0]]
    asked = [query, [0, 1, 0, 0], [0, 1, 0, 0]]
    end = [query, silence, silence]
    assert inputs[:, 0].tolist() == [*first, *second, *third, *asked, *end]
    assert targets[:, 0].tolist() == [*[[0, 0]] * 13, [0, 0], [1, 0]]
    assert mask[:, 0].tolist() == [0.0] * 13 + [1.0] * 2


@pytest.mark.parametrize("task", [AssociativeRecall(), AssociativeRecall(4, 2)])
@pytest.mark.parametrize("items", [2, 3, 6, 20])
def test_a_recall_is_that_of_plain_loops(task: AssociativeRecall, items: int) -> None:
    inputs, targets, mask = task.batch(generator(), 5, items)
    bits, length = task.bits, task.item_length
    item_mark, query_mark = [0] * bits + [1, 0], [0] * bits + [0, 1]
    for n in range(5):
        steps = iter(inputs[:, n].tolist())

        def vectors(steps: Any = steps) -> list[list[float]]:
            shown = [next(steps) for _ in range(length)]
            assert all(x[bits:] == [0, 0] and set(x) <= {0, 1} for x in shown)
            return [x[:bits] for x in shown]

        seen = []
        for _ in range(items):
            assert next(steps) == item_mark
            seen.append(vectors())
        assert next(steps) == query_mark
        at = seen.index(vectors())
        assert at < items - 1
        assert next(steps) == query_mark
        assert list(steps) == [[0] * (bits + 2)] * length
        assert targets[-length:, n].tolist() == seen[at + 1]
        assert targets[:-length, n].sum() == 0
        asked = [0.0] * (len(inputs) - length) + [1.0] * length
        assert mask[:, n].tolist() == asked


def test_2_to_6_items_occur_all_alike_and_every_one_but_the_last_is_asked() -> None:
    task, own = AssociativeRecall(), generator()
    drawn = [task.draw_size(own)[0] for _ in range(5000)]
    assert all(900 < drawn.count(n) < 1100 for n in range(2, 7))
    assert set(drawn) == set(range(2, 7))
    inputs = task.batch(own, 3000, 5).inputs
    shown = inputs.unflatten(0, (7, 4))[:6, 1:, :, :6]
    matches = (shown[:5] == shown[5]).all(dim=-1).all(dim=1).sum(dim=1)
    assert matches[4] == 0
    assert matches[:4].sum() == 3000
    assert all(650 < count < 850 for count in matches.tolist()[:4])
    assert 0.49 < shown.mean() < 0.51


def test_no_two_items_are_alike_even_where_few_are_different() -> None:
    """All four items of two bits are shown in each sequence, in every order alike."""
    task = AssociativeRecall(bits=1, item_length=2, most_items=4)
    inputs = task.batch(generator(), 4800, 4).inputs
    shown = inputs.unflatten(0, (6, 3))[:4, 1:, :, 0]
    codes = (2 * shown[:, 0] + shown[:, 1]).T
    assert (codes.sort(dim=1).values == torch.arange(4)).all()
    orders, counts = codes.unique(dim=0, return_counts=True)
    assert len(orders) == 24
    assert all(140 < count < 260 for count in counts.tolist())


def test_an_item_seen_before_is_found_as_a_loop_finds_it() -> None:
    items = torch.randint(0, 2, (50, 6, 3), generator=generator()).float()
    rows = items.tolist()
    expected = [[item in row[:n] for n, item in enumerate(row)] for row in rows]
    assert _seen_before(items).tolist() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "bits: got 0, needs at least 1"),
        ({"item_length": 0}, "item_length: got 0, needs at least 1"),
        ({"fewest_items": 0}, "fewest_items: got 0, needs at least 2"),
        ({"fewest_items": 1}, "fewest_items: got 1, needs at least 2"),
        ({"fewest_items": 7}, "most_items: got 6, needs at least 7"),
        ({"most_items": 2.5}, "most_items: got 2.5, needs a whole number"),
        ({"bits": 2, "item_length": 1}, "most_items: got 6, needs at most 4: no more"),
    ],
)
def test_an_impossible_recall_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        AssociativeRecall(**settings)


def test_a_recall_of_too_few_or_too_many_items_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^items: got 1, needs at least 2"):
        AssociativeRecall().batch(generator(), 1, 1)
    with pytest.raises(ValueError, match=r"^batch_size: got 0, needs at least 1"):
        AssociativeRecall().batch(generator(), 0, 2)
    few = AssociativeRecall(bits=3, item_length=1)
    with pytest.raises(ValueError, match=r"^items: got 9, needs at most 8: no more"):
        few.batch(generator(), 1, 9)
    assert few.table == [(6,), (8,)]
    assert few.trials(128) == [(6,)]


def test_a_recall_may_be_typed_and_says_what_it_takes() -> None:
    task = AssociativeRecall(bits=3, item_length=2)
    right = ["101", "010", "111", "000", "001", "011"]
    assert task.from_words([*right, "1"]).inputs.shape == (15, 1, 5)
    needs = "needs two items or more, each of 2 vectors such as 101 101, and then"
    for words in (["1"], right, [*right, "0"], [*right, "3"], [*right[:5], "1"]):
        with pytest.raises(ValueError, match=rf"^bits: got {' '.join(words)}, {needs}"):
            task.from_words(words)
    with pytest.raises(ValueError, match=r"^bits: got 0110, needs 3 of 0 and 1"):
        task.from_words([*right[:5], "0110", "1"])
    with pytest.raises(ValueError, match=r"^bits: item 1 is there 2 times, needs to"):
        task.from_words([*right[:2], *right[:4], "1"])


def test_recall_is_tried_on_more_items_where_the_memory_holds_them() -> None:
    task = AssociativeRecall()
    assert task.trials(None) == [(6,)]
    assert task.trials(32) == [(6,)]
    assert task.trials(64) == [(6,), (12,)]
    assert task.trials(128) == [(6,), (12,), (24,)]
    assert task.table == [(6,), (8,), (10,), (12,), (15,), (20,)]
    assert task.optimum_bits(6) == 0
