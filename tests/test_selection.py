"""The seed that is kept is the best one, whoever was tried more."""

from typing import Any

import pytest

from ntm.runs.selection import how_chosen, select
from ntm.tasks import Copy, NGrams
from ntm.training.evaluation import Result


def tried(**wrong_at: int | tuple[int, int]) -> list[Result]:
    """Results of a seed: ``L20=3`` is 3 wrong bits in 100 sequences of length 20,
    ``L20=(3, 5)`` in 5."""
    rows = []
    for name, given in wrong_at.items():
        wrong, sequences = given if isinstance(given, tuple) else (given, 100)
        rows.append(Result({"length": int(name[1:])}, 128, sequences, wrong, 0))
    return rows


A, B, C = 0, 1, 2


@pytest.mark.parametrize(
    ("results", "best"),
    [
        pytest.param({A: tried(L20=3), B: tried(L20=2)}, B, id="fewest wrong"),
        pytest.param(
            {A: tried(L20=3, L120=50), B: tried(L20=9, L120=60, L1=(0, 1))},
            A,
            id="tried more is not better",
        ),
        pytest.param(
            {A: tried(L20=0, L120=9), B: tried(L20=(0, 1), L120=60)},
            A,
            id="one lucky sequence is not a trial of a hundred",
        ),
        pytest.param(
            {A: tried(L20=40), B: tried(L20=39, L500=900)},
            B,
            id="nor is tried more worse",
        ),
        pytest.param(
            {
                A: tried(L20=0, L120=1, L500=9),
                B: tried(L20=900),
                C: tried(L20=0, L120=2),
            },
            A,
            id="who was given up does not narrow what the others are compared on",
        ),
        pytest.param(
            {
                A: tried(L20=1, L120=0, L500=90),
                B: tried(L20=800),
                C: tried(L20=0, L120=0, L500=9000),
            },
            A,
            id="nor does an easy trial then decide by a hair",
        ),
        pytest.param(
            {A: tried(L20=0, L500=90), B: tried(L20=0), C: tried(L20=0, L500=9)},
            A,
            id="of equals the first",
        ),
        pytest.param(
            {A: tried(L20=20, L40=0), B: tried(L20=0, L40=30)},
            B,
            id="the share of wrong bits counts, not their number",
        ),
        pytest.param(
            {A: tried(L7=0), B: tried(L20=5), C: tried(L20=4)},
            C,
            id="who shares nothing with the others has lost",
        ),
        pytest.param({A: tried(L20=9)}, A, id="the only one"),
        pytest.param({A: [], B: []}, A, id="nothing was tried"),
    ],
)
def test_the_best_seed_is_kept(results: dict[int, list[Result]], best: int) -> None:
    selection = select(results, Copy())
    assert selection.seed == best
    assert str(len(results)) in how_chosen(selection, len(results)) or len(results) == 1


def test_more_trials_of_one_seed_never_make_it_the_best() -> None:
    results: dict[int, list[Result]] = {
        A: tried(L20=3, L120=9),
        B: tried(L20=4, L120=9),
    }
    extra: list[Any] = [{"L1": 0}, {"L2": (0, 1)}, {"L500": 0}, {"L500": 0, "L900": 0}]
    for more in extra:
        assert select(results | {B: results[B] + tried(**more)}, Copy()).seed == A


def test_where_chance_decides_what_is_right_the_cost_above_the_optimum_counts() -> None:
    """The second has more wrong bits, the third shorter sequences that cost less."""

    def at(length: int, wrong: int, bits: float, optimum: float) -> Result:
        return Result({"length": length}, 128, 100, wrong, 0, bits, optimum)

    results = {
        A: [at(200, 5000, 135.0, 133.0)],
        B: [at(200, 5100, 134.0, 133.0)],
        C: [at(200, 5000, 133.0, 130.5)],
    }
    selection = select(results, NGrams())
    assert selection.seed == B
    assert how_chosen(selection, 3) == (
        "of 3 seeds the one with the lowest cost above the optimum, "
        "of 3 on 100 sequences of length 200 to 200: 1.00 bits a sequence"
    )
    results = {
        A: [at(100, 0, 61.0, 60.0), at(200, 0, 134.0, 130.0)],
        B: [at(100, 0, 61.5, 60.0), at(200, 0, 133.2, 130.0)],
    }
    assert select(results, NGrams()).seed == A  # 0.01 + 0.02 against 0.015 + 0.016


def test_the_card_says_what_decided() -> None:
    def said(**results: list[Result]) -> str:
        return how_chosen(
            select(dict(enumerate(results.values())), Copy()), len(results)
        )

    lost = tried(L20=900)
    assert said(a=tried(L20=3)) == "the only seed"
    assert said(a=tried(L20=3, L120=1), b=tried(L20=3, L120=2), c=lost) == (
        "of 3 seeds the one with the lowest error rate, "
        "of 2 on 200 sequences of length 20 to 120: 4 wrong bits"
    )
    assert said(a=tried(L20=0, L50=1), b=tried(L20=0), c=tried(L20=0, L50=0)) == (
        "of 3 seeds the one with the lowest error rate, "
        "of 3 on 100 sequences of length 20 to 20: 0 wrong bits; the first of 3"
    )
    assert said(a=tried(L20=0, L50=1), b=tried(L20=9), c=tried(L20=0, L50=0)) == (
        "of 3 seeds the one with the lowest error rate, "
        "of 2 on 200 sequences of length 20 to 50: 0 wrong bits"
    )
    assert said(a=tried(L20=0, L50=1), b=lost) == (
        "of 2 seeds the one with the lowest error rate, "
        "of each other and it on what that one was tried on"
    )
