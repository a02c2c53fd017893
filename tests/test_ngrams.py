"""Dynamic n-grams are the paper's 4.4, and the optimum is the optimum."""

import itertools
import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ntm.baseline import Baseline
from ntm.tasks import NGrams, cost_in_bits, wrong_bits
from ntm.tasks.ngrams import contexts, draw, optimal_cost, optimal_prediction
from ntm.training.evaluation import STREAM, evaluate


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def many() -> Tensor:
    """2,000 sequences of training, their bits alone: ``(200, 2000)``."""
    return NGrams().batch(generator(), 2000, 200).targets[..., 0]


# The data.


def test_n_grams_by_hand() -> None:
    """After 0 a 1 is likely, 0.9, after 1 it is not, 0.2; 0.5 before there is any."""
    table = torch.tensor([[0.9, 0.2]])
    chances = torch.tensor([[0.6], [0.95], [0.85], [0.3], [0.89], [0.1]])
    assert draw(table, chances, 1).T.tolist() == [[0, 0, 1, 0, 1, 1]]


def test_what_is_shown_is_the_bit_before_the_one_that_is_due() -> None:
    inputs, targets, mask = NGrams().batch(generator(), 7, 50)
    assert inputs.shape == targets.shape == (50, 7, 1)
    assert torch.equal(inputs[1:], targets[:-1])
    assert (inputs[0] == 0).all()
    assert (mask == 1).all()


@pytest.mark.parametrize("context", [1, 2, 5, 7])
def test_every_bit_is_what_the_table_gives_after_those_before_it(context: int) -> None:
    own = generator()
    table, chances = torch.rand(6, 2**context, generator=own), torch.rand(90, 6)
    bits = draw(table, chances, context)
    rows = bits.T.int().tolist()
    for n, row in enumerate(rows):
        for t in range(90):
            digits = "".join(map(str, row[max(t - context, 0) : t]))
            needed = table[n, int(digits, 2)] if t >= context else 0.5
            assert row[t] == (chances[t, n] < needed)


def test_the_first_bits_are_fair_and_the_others_are_as_surprising_as_beta_makes_them(
    many: Tensor,
) -> None:
    """Where the best predictor says so much per cent, so many of a hundred are 1."""
    assert_close(many[:5].mean(1), torch.full((5,), 0.5), atol=0.04, rtol=0)
    said, order = optimal_prediction(many)[5:].flatten().sort()
    came = many[5:].flatten()[order].double()
    for some, ones in zip(said.chunk(20), came.chunk(20), strict=True):
        error = (some * (1 - some)).sum().sqrt() / len(some)
        assert abs(ones.mean() - some.mean()) < 4 * error


def test_a_table_is_of_one_sequence_alone(many: Tensor) -> None:
    """What follows 00000 in one sequence says nothing about the next one."""
    after = []
    for row in many.T[:1000].int().tolist():
        at = "".join(map(str, row)).find("00000")
        after.append(row[at + 5] if 0 <= at < 195 else None)
    pairs = [p for p in itertools.pairwise(after) if None not in p]
    same = sum(a == b for a, b in pairs) / len(pairs)
    assert abs(same - 0.5) < 4 * 0.5 / math.sqrt(len(pairs))


# The optimum.


def test_a_context_is_what_came_before() -> None:
    bits = torch.tensor([[1, 0, 0, 1, 1, 0, 1.0]]).T
    assert contexts(bits).flatten().tolist() == [-1] * 5 + [0b10011, 0b00110]
    assert contexts(bits[:, 0], 2).tolist() == [-1, -1, 0b10, 0b00, 0b01, 0b11, 0b10]


def test_the_optimum_by_hand() -> None:
    """0, 1, 1, 1, 0, one bit of context: after 1 came 1, then 1, then 0."""
    bits = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0])
    said = [1 / 2, 1 / 2, 1 / 2, 3 / 4, 5 / 6]
    assert optimal_prediction(bits, 1).tolist() == pytest.approx(said)
    cost = 3 + math.log2(4 / 3) + math.log2(6)
    assert optimal_cost(bits, 1).item() == pytest.approx(cost)


@pytest.mark.parametrize("context", [1, 3, 5])
def test_the_optimum_is_that_of_a_plain_loop(context: int, many: Tensor) -> None:
    bits = many[:80, :6]
    said = optimal_prediction(bits, context)
    assert said.dtype == torch.float64
    for n in range(6):
        seen: Counter[tuple[tuple[int, ...], int]] = Counter()
        row, cost = bits[:, n].int().tolist(), 0.0
        for t, bit in enumerate(row):
            expected = 0.5
            if t >= context:
                before = tuple(row[t - context : t])
                n0, n1 = seen[before, 0], seen[before, 1]
                expected = (n1 + 0.5) / (n0 + n1 + 1)
                seen[before, bit] += 1
            assert said[t, n].item() == pytest.approx(expected)
            cost -= math.log2(expected if bit else 1 - expected)
        assert optimal_cost(bits, context)[n].item() == pytest.approx(cost)


def test_the_optimum_is_the_likelihood_of_all_tables_together(many: Tensor) -> None:
    """∏ B(N₁ + ½, N₀ + ½) / B(½, ½) over the contexts, which needs no order."""

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    costs = optimal_cost(many[:, :5]).tolist()
    for row, cost in zip(many.T[:5].int().tolist(), costs, strict=True):
        counts = Counter(tuple(row[t - 5 : t + 1]) for t in range(5, 200))
        contexts = {gram[:5] for gram in counts}
        nats = sum(
            log_beta(counts[(*c, 1)] + 0.5, counts[(*c, 0)] + 0.5) - log_beta(0.5, 0.5)
            for c in contexts
        )
        assert cost == pytest.approx(5 - nats / math.log(2))


def test_dimensions_may_follow(many: Tensor) -> None:
    bits = many[:, :6]
    together = optimal_prediction(bits.reshape(200, 2, 3))
    assert torch.equal(together.reshape(200, 6), optimal_prediction(bits))
    assert torch.equal(optimal_prediction(bits[:, 4]), optimal_prediction(bits)[:, 4])
    with pytest.raises(ValueError, match=r"^length: got 5, needs at least 6"):
        optimal_prediction(bits[:5])


def test_the_future_does_not_matter_to_the_optimum(many: Tensor) -> None:
    bits = many[:, :20]
    other = torch.cat([bits[:100], 1 - bits[100:]])
    same = optimal_prediction(bits)[:101] == optimal_prediction(other)[:101]
    assert same.all()


def test_the_optimum_is_the_papers_133_bits_for_200(many: Tensor) -> None:
    """A mean of 2,000 sequences, whose standard error is 0.8 bits."""
    cost = optimal_cost(many)
    error = cost.std() / math.sqrt(2000)
    assert error < 0.9
    assert abs(cost.mean() - 133.2) < 3 * error


def test_others_cost_more_than_the_optimum_in_the_mean(many: Tensor) -> None:
    """One that counts less, one that forgets half, one that takes a shorter context."""
    best = optimal_cost(many)
    careful = 0.9 * optimal_prediction(many) + 0.05
    costs = {
        "careful": -torch.where(many > 0.5, careful, 1 - careful).log2().sum(0),
        "forgets": optimal_cost(many[:100]) + optimal_cost(many[100:]),
        "shorter": optimal_cost(many, 4),
        "longer": optimal_cost(many, 6),
    }
    for name, cost in costs.items():
        more = cost - best
        assert more.mean() > 3 * more.std() / math.sqrt(2000), name


def test_the_shared_cost_of_optimal_logits_is_the_optimal_cost() -> None:
    batch = NGrams().batch(generator(), 9, 200)
    bits = batch.targets[..., 0]
    logits = optimal_prediction(bits).logit().float().unsqueeze(-1)
    assert_close(cost_in_bits(logits, batch), optimal_cost(bits).float())
    wrong = wrong_bits(logits, batch).float() / 200
    assert 0.15 < wrong.mean() < 0.4  # nobody gets all bits of a coin right


def test_a_machine_is_compared_with_the_optimum_of_the_same_sequences() -> None:
    class Coin(Baseline):
        def forward(self, inputs: Tensor, *state: Any) -> tuple[Tensor, None]:
            return torch.zeros_like(inputs), None

    task = NGrams(length=30)
    for sequences in (40, 130):
        result = evaluate(Coin(1, 1, size=2), task, 30, sequences)
        assert result.bits == pytest.approx(30)
        own = generator(STREAM)
        parts = [min(100, sequences)] + [sequences - 100] * (sequences > 100)
        same = torch.cat([task.batch(own, n, 30).targets for n in parts], dim=1)
        assert result.optimum == pytest.approx(optimal_cost(same[..., 0]).mean().item())
        assert result.excess == pytest.approx(30 - result.optimum, abs=1e-4)


# Options and words.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": 0}, "context: got 0, needs at least 1"),
        ({"context": 11}, "context: got 11, needs at most 10: the table of each"),
        ({"context": 2.5}, "context: got 2.5, needs a whole number"),
        ({"length": 5}, "length: got 5, needs at least 6"),
        ({"length": 0}, "length: got 0, needs at least 6"),
    ],
)
def test_impossible_n_grams_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        NGrams(**settings)


def test_a_batch_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^length: got 3, needs at least 6"):
        NGrams().batch(generator(), 1, 3)
    with pytest.raises(ValueError, match=r"^batch_size: got 0, needs at least 1"):
        NGrams().batch(generator(), 0, 200)


def test_there_is_one_length_of_training_and_no_closed_optimum() -> None:
    task, own = NGrams(length=40), generator()
    before = own.get_state()
    assert task.draw_size(own) == task.test_size == (40,)
    assert torch.equal(own.get_state(), before)
    assert task.table == task.trials(128) == task.trials(None) == [(40,)]
    assert task.optimum_bits(40) is None


def test_n_grams_may_be_typed_and_say_what_they_take() -> None:
    task = NGrams(context=2)
    batch = task.from_words(["0111", "0"])
    assert batch.targets.flatten().tolist() == [0, 1, 1, 1, 0]
    assert batch.inputs.flatten().tolist() == [0, 0, 1, 1, 1]
    for words in (["01"], ["0", "1"], ["012"], ["0110x"], []):
        said = rf"^bits: got {' '.join(words)}, needs more than 2 of 0 and 1, all in"
        with pytest.raises(ValueError, match=said):
            task.from_words(words)
