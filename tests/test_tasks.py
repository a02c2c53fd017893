"""The tasks: their data is what the paper says, and their costs are what they are called."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from ntm.tasks import (
    TASKS,
    Batch,
    Copy,
    RepeatCopy,
    cost_in_bits,
    options,
    register,
    wrong_bits,
)
from ntm.tasks.base import require_consistent
from ntm.training.evaluation import Result
from ntm.training.settings import Settings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


every_task = pytest.mark.parametrize("name", TASKS)

# What every task promises.


@every_task
def test_the_same_seed_draws_the_same_sequences(name: str) -> None:
    task = TASKS[name]()
    size = task.draw_size(generator())
    assert size == task.draw_size(generator())
    first, second, other = (task.batch(generator(seed), 3, *size) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, second))
    assert not torch.equal(first.inputs, other.inputs)


@every_task
def test_nothing_but_its_own_generator_is_used(name: str) -> None:
    before = torch.get_rng_state()
    task, own = TASKS[name](), generator()
    task.batch(own, 3, *task.draw_size(own))
    assert torch.equal(torch.get_rng_state(), before)


@every_task
def test_a_batch_has_the_sizes_the_task_says(name: str) -> None:
    task = TASKS[name]()
    inputs, targets, mask = task.batch(generator(), 3, *task.test_size)
    time = len(inputs)
    assert inputs.shape == (time, 3, task.input_size)
    assert targets.shape == (time, 3, task.output_size)
    assert mask.shape == (time, 3)
    assert set(mask.unique().tolist()) <= {0, 1}
    assert mask.any()
    assert set(targets.unique().tolist()) <= {0, 1}


@every_task
def test_the_sequences_of_a_batch_differ(name: str) -> None:
    task = TASKS[name]()
    inputs = task.batch(generator(), 3, *task.test_size).inputs
    assert not torch.equal(inputs[:, 0], inputs[:, 1])


@every_task
def test_what_help_says_a_task_takes_it_takes(name: str) -> None:
    batch = TASKS[name]().from_words(TASKS[name].example.split())
    assert batch.inputs.shape[1] == 1
    assert batch.mask.any()


# Copy.


def test_copy_shows_the_vectors_then_the_delimiter_then_nothing() -> None:
    inputs, targets, mask = Copy().batch(generator(), 4, 5)
    assert inputs.shape == (11, 4, 9)
    assert set(inputs[:5, :, :8].unique().tolist()) == {0, 1}
    assert (inputs[:5, :, 8] == 0).all()
    assert (inputs[5, :, :8] == 0).all()
    assert (inputs[5, :, 8] == 1).all()
    assert (inputs[6:] == 0).all()
    assert torch.equal(targets[6:], inputs[:5, :, :8])
    assert torch.equal(mask[:, 0], torch.tensor([0.0] * 6 + [1.0] * 5))


def test_while_it_answers_the_target_is_nowhere_at_the_input() -> None:
    """Two sequences that differ in every bit look the same from the delimiter on."""
    inputs, targets, mask = Copy().batch(generator(), 50, 3)
    answering = inputs[mask[:, 0] == 1]
    assert (answering == 0).all()
    assert targets[mask[:, 0] == 1].float().std() > 0.4


def test_lengths_1_and_20_both_occur_and_all_alike() -> None:
    task, own = Copy(), generator()
    counts = [0] * 30
    for _ in range(20_000):
        (length,) = task.draw_size(own)
        counts[length] += 1
    assert sum(counts[1:21]) == 20_000
    assert all(850 < count < 1150 for count in counts[1:21])


def test_bits_are_fair_coins() -> None:
    vectors = Copy().batch(generator(), 500, 20).inputs[:20, :, :8]
    assert_close(vectors.mean(dim=(0, 1)), torch.full((8,), 0.5), atol=0.02, rtol=0)


def test_uneven_sequences_have_any_share_of_ones_and_are_as_many_as_asked_for() -> None:
    fair, some, all_of_them = (
        Copy(biased_share=share)
        .batch(generator(), 2000, 50)
        .targets[51:]
        .mean(dim=(0, 2))
        for share in (0.0, 0.25, 1.0)
    )
    far = 0.15  # four standard deviations of the share of ones in 400 fair bits are 0.1
    assert ((fair - 0.5).abs() < far).all()
    for shares, uneven in ((some, 0.25), (all_of_them, 1.0)):
        outside = ((shares - 0.5).abs() > far).float().mean()
        assert_close(outside, torch.tensor(0.7 * uneven), rtol=0, atol=0.04)
    assert_close(all_of_them.mean(), torch.tensor(0.5), rtol=0, atol=0.03)
    assert all_of_them.min() < 0.02
    assert all_of_them.max() > 0.98


def test_copy_may_be_narrower_and_of_any_lengths() -> None:
    task = Copy(bits=3, shortest=4, longest=6)
    assert (task.input_size, task.output_size, task.test_size) == (4, 3, (6,))
    own = generator()
    assert {task.draw_size(own) for _ in range(100)} == {(4,), (5,), (6,)}
    assert task.batch(own, 2, 9).inputs.shape == (19, 2, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "bits: got 0, needs at least 1"),
        ({"shortest": 0}, "shortest: got 0, needs at least 1"),
        ({"longest": 0}, "longest: got 0, needs at least 1"),
        ({"shortest": 5, "longest": 4}, "longest: got 4, needs at least 5"),
        ({"biased_share": 1.5}, "biased_share: got 1.5, needs 0 ≤ biased_share ≤ 1"),
    ],
)
def test_an_impossible_copy_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Copy(**settings)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^length: got 0, needs at least 1"):
        Copy().batch(generator(), 1, 0)
    with pytest.raises(ValueError, match=r"^batch_size: got 0, needs at least 1"):
        Copy().batch(generator(), 0, 1)
    with pytest.raises(TypeError, match=r"^length: got 1\.5, needs a whole number"):
        Copy().batch(generator(), 1, 1.5)


# Repeat copy.


def test_a_repeat_copy_by_hand() -> None:
    """Two vectors, three times, of at most four: k = 3 is (3 − 2.5) / √1.25 = 0.447."""
    batch = RepeatCopy(bits=2, longest=3, most_repeats=4).batch(generator(), 1, 2, 3)
    a, b = batch.inputs[0, 0, :2].tolist(), batch.inputs[1, 0, :2].tolist()
    seen = [[*a, 0], [*b, 0], [0, 0, 0.2**0.5], *[[0, 0, 0]] * 7]
    due = [*[[0, 0, 0]] * 3, *[[*a, 0], [*b, 0]] * 3, [0, 0, 1]]
    assert_close(batch.inputs[:, 0], torch.tensor(seen))
    assert_close(batch.targets[:, 0], torch.tensor(due))
    assert batch.mask[:, 0].tolist() == [0.0] * 3 + [1.0] * 7


@pytest.mark.parametrize("end_marker", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (10, 10), (20, 10), (10, 20)])
def test_a_repeat_copy_is_that_of_plain_loops(
    end_marker: bool, size: tuple[int, int]
) -> None:
    task = RepeatCopy(end_marker=end_marker)
    inputs, targets, mask = task.batch(generator(), 3, *size)
    length, repeats = size
    wants = range(1, 11)
    mean = sum(wants) / 10
    deviation = math.sqrt(sum((k - mean) ** 2 for k in wants) / 10)
    for n in range(3):
        at = 0
        for _ in range(length):
            assert set(inputs[at, n, :8].tolist()) <= {0, 1}
            assert inputs[at, n, 8] == 0
            at += 1
        assert (inputs[at, n, :8] == 0).all()
        assert inputs[at, n, 8].item() == pytest.approx((repeats - mean) / deviation)
        at += 1
        assert mask[:at, n].sum() == 0
        assert targets[:at, n].sum() == 0
        for _ in range(repeats):
            for vector in inputs[:length, n, :8]:
                assert torch.equal(targets[at, n, :8], vector)
                assert targets[at, n, 8:].sum() == 0
                at += 1
        if end_marker:
            assert targets[at, n].tolist() == [0] * 8 + [1]
            at += 1
        assert at == len(inputs) == len(targets)
        assert (mask[length + 1 :, n] == 1).all()
        assert (inputs[length + 1 :, n] == 0).all()


def test_lengths_and_repeats_are_all_alike_and_their_channel_is_standardised() -> None:
    task, own = RepeatCopy(), generator()
    drawn = [task.draw_size(own) for _ in range(20_000)]
    for numbers in zip(*drawn, strict=True):
        counts = [numbers.count(n) for n in range(12)]
        assert sum(counts[1:11]) == 20_000
        assert all(1800 < count < 2200 for count in counts[1:11])
    both = torch.tensor(drawn, dtype=torch.float64).T
    assert abs(torch.corrcoef(both)[0, 1]) < 0.03
    shown = torch.tensor([task.on_channel(k) for k in range(1, 11)])
    assert_close(shown.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert_close(shown.var(correction=0), torch.tensor(1.0))
    assert 0 not in shown


def test_repeats_may_begin_with_few_on_the_same_channel() -> None:
    task, own = RepeatCopy(so_far=3), generator()
    lengths, repeats = zip(*(task.draw_size(own) for _ in range(1000)), strict=True)
    assert set(lengths) == set(range(1, 11))
    assert set(repeats) == {1, 2, 3}
    assert task.test_size == (10, 10)
    assert torch.equal(
        task.batch(generator(), 1, 2, 3).inputs,
        RepeatCopy().batch(generator(), 1, 2, 3).inputs,
    )


def test_sequences_to_repeat_may_be_uneven_as_those_to_copy_are() -> None:
    fair, uneven = (
        RepeatCopy(biased_share=share).batch(generator(), 1000, 10, 2).targets
        for share in (0.0, 1.0)
    )
    for targets, spread in ((fair, 0.056), (uneven, 0.289)):
        shares = targets[11:21, :, :8].mean(dim=(0, 2))
        assert_close(shares.std(), torch.tensor(spread), rtol=0.1, atol=0)
        assert torch.equal(targets[11:21], targets[21:31])


def test_a_repeat_copy_is_exact_only_with_its_end_marker() -> None:
    batch = RepeatCopy(longest=4).batch(generator(), 1, 4, 3)
    logits = answer(batch, 9.0)
    assert wrong_bits(logits, batch).tolist() == [0]
    logits[-1, :, 8] *= -1
    assert wrong_bits(logits, batch).tolist() == [1]
    without = RepeatCopy(longest=4, end_marker=False).batch(generator(), 1, 4, 3)
    assert wrong_bits(logits[:-1, :, :8], without).tolist() == [0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "bits: got 0, needs at least 1"),
        ({"longest": 0}, "longest: got 0, needs at least 1"),
        ({"most_repeats": 1}, "most_repeats: got 1, needs at least 2"),
        ({"most_repeats": 9}, "most_repeats: got 9, needs an even number"),
        ({"most_repeats": 4000}, "most_repeats: got 4000, needs fewer: on their chann"),
        ({"biased_share": 2.0}, "biased_share: got 2.0, needs 0 ≤ biased_share ≤ 1"),
        ({"so_far": 11}, "so_far: got 11, needs at most most_repeats, 10"),
        ({"so_far": -1}, "so_far: got -1, needs at least 0"),
    ],
)
def test_an_impossible_repeat_copy_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        RepeatCopy(**settings)


def test_a_repeat_copy_may_be_typed() -> None:
    task = RepeatCopy(bits=2, most_repeats=4)
    drawn = task.batch(generator(), 1, 2, 3)
    words = ["".join(f"{bit:g}" for bit in x[:2]) for x in drawn.inputs[:2, 0].tolist()]
    assert all(map(torch.equal, task.from_words([*words, "3"]), drawn))
    for wrong in (["10"], ["10", "0"], ["10", "x"], ["3"]):
        with pytest.raises(ValueError, match=r"^bits: got"):
            task.from_words(wrong)
    with pytest.raises(ValueError, match=r"^bits: got 101, needs 2 of 0 and 1"):
        task.from_words(["101", "3"])


# Options and sizes by name, and tasks of one's own.


@every_task
def test_a_run_has_every_option_of_its_task_and_is_judged_without_some(
    name: str,
) -> None:
    settings = Settings(task=name)
    fields = {field.name for field in dataclasses.fields(TASKS[name])}
    assert set(settings.task_options) == fields
    assert Settings.from_json(settings.to_json()) == settings
    assert settings.make_task() == TASKS[name]()
    assert settings.make_task(learning=True) == TASKS[name](**TASKS[name].learning)


@every_task
def test_a_task_can_be_tried_where_it_says(name: str) -> None:
    task = TASKS[name]()
    for memory_locations in (None, 3, 30, 128):
        sizes = task.trials(memory_locations)
        assert sizes[0] == task.test_size
        require_consistent(task, [*sizes, *task.table])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"speed": "3"}, "task.speed: is unknown to repeat-copy, which has bits, lon"),
        ({"longest": "ten"}, "task.longest: got 'ten', needs a number"),
        ({"longest": "true"}, "task.longest: got 'true', needs a number"),
        ({"end_marker": "1"}, "task.end_marker: got '1', needs true or false"),
    ],
)
def test_an_option_that_is_none_is_refused_by_name(
    given: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        options.from_text(RepeatCopy, given)


def test_options_may_come_as_text() -> None:
    given = {"longest": "4", "end_marker": "false"}
    made = RepeatCopy(**options.from_text(RepeatCopy, given))
    learning = RepeatCopy.learning
    assert made == RepeatCopy(longest=4, end_marker=False, **learning)
    assert options.from_text(Copy, {"biased_share": "0.25"})["biased_share"] == 0.25


def test_sizes_are_all_combinations_of_the_numbers_that_are_given() -> None:
    task = RepeatCopy()
    both = {"repeats": [5, 6], "length": [1, 2]}
    assert options.sizes(task, both) == [(1, 5), (1, 6), (2, 5), (2, 6)]
    assert options.sizes(task, {"repeats": [20]}) == [(10, 20)]
    assert options.sizes(task, {}) == [(10, 10), (20, 10), (10, 20)]
    with pytest.raises(ValueError, match=r"^repeats: sequences of copy have none"):
        options.sizes(Copy(), both)


def test_a_task_is_registered_once_and_only_if_it_is_one() -> None:
    assert register(Copy) is Copy
    other = dataclasses.make_dataclass("Other", [], bases=(Copy,), frozen=True)
    with pytest.raises(ValueError, match=r"^task: 'copy' is the name of <class"):
        register(other)
    with pytest.raises(
        TypeError, match=r"^task: got .* needs a dataclass that extends"
    ):
        register(dict)  # type: ignore[type-var]
    assert TASKS["copy"] is Copy


def test_a_task_that_does_not_give_what_it_says_is_found_before_training() -> None:
    class Wider(Copy):
        output_size = 12  # type: ignore[assignment]

    class Mute(Copy):
        def batch(self, *given: Any) -> Batch:
            batch = super().batch(*given)
            return batch._replace(mask=torch.zeros_like(batch.mask))

    with pytest.raises(
        ValueError, match=r"^task copy: targets of .* needs \(7, 1, 12\)"
    ):
        require_consistent(Wider(), [(3,)])
    with pytest.raises(ValueError, match=r"^task copy: .*: asks for nothing"):
        require_consistent(Mute(), [(3,)])
    with pytest.raises(ValueError, match=r"^size: got \(3, 4\), needs length"):
        require_consistent(Copy(), [(3, 4)])


def test_a_result_survives_its_file_and_older_rows_have_no_cost() -> None:
    result = Result({"length": 2, "repeats": 3}, 128, 10, 4, 7, 1.5)
    row = result.to_json()
    assert list(row)[:3] == ["length", "repeats", "memory_locations"]
    assert Result.from_json(row) == result
    assert result.where == (2, 3, 128)
    known = Result({"length": 200}, 128, 10, 700, 0, 134.5, 133.25)
    assert Result.from_json(known.to_json()) == known
    assert (known.excess, result.excess) == (1.25, None)
    older = {"length": 5, "memory_locations": None, "sequences": 9, "wrong_bits": 1}
    assert Result.from_json(older | {"exact": 8}) == Result(
        {"length": 5}, None, 9, 1, 8
    )


# What an answer costs.


def answer(batch: Batch, certainty: float) -> torch.Tensor:
    return certainty * (2 * batch.targets - 1)


def test_no_idea_costs_one_bit_a_bit() -> None:
    batch = Copy().batch(generator(), 3, 7)
    bits = cost_in_bits(torch.zeros_like(batch.targets), batch)
    assert_close(bits, torch.full((3,), 7 * 8.0))


def test_the_cost_is_of_a_whole_sequence_and_not_of_a_step() -> None:
    costs = [
        cost_in_bits(torch.zeros_like(batch.targets), batch).item()
        for batch in (Copy().batch(generator(), 1, length) for length in (1, 10, 20))
    ]
    assert costs == pytest.approx([8, 80, 160])


def test_the_cost_by_hand() -> None:
    """p = ¾ for the right bit: log₂ 4/3 each, twice, and once the opposite, log₂ 4."""
    targets = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    mask = torch.tensor([[1.0], [0.0]])
    logits = torch.tensor([[[1.0, 1.0]], [[-50.0, -50.0]]]) * math.log(3)
    batch = Batch(torch.zeros(2, 1, 1), targets, mask)
    expected = math.log2(4 / 3) + math.log2(4)
    assert cost_in_bits(logits, batch).tolist() == pytest.approx([expected])
    assert wrong_bits(logits, batch).tolist() == [1]


def test_certainty_costs_nothing_when_right_and_stays_finite_when_wrong() -> None:
    batch = Copy().batch(generator(), 2, 5)
    assert cost_in_bits(answer(batch, 1e3), batch).tolist() == [0, 0]
    wrong = answer(batch, -1e6).requires_grad_()
    cost = cost_in_bits(wrong, batch)
    assert cost.isfinite().all()
    cost.sum().backward()
    assert wrong.grad is not None
    assert wrong.grad.isfinite().all()


def test_wrong_bits_are_counted_each_and_only_while_answering() -> None:
    batch = Copy().batch(generator(), 2, 5)
    logits = answer(batch, 1.0)
    logits[:6] *= -1  # before the answer anything may be said
    assert wrong_bits(logits, batch).tolist() == [0, 0]
    logits[7, 0, 3] *= -1
    logits[10, 0, 1] *= -1
    assert wrong_bits(logits, batch).tolist() == [2, 0]


def test_seeds_may_stand_before_the_batch() -> None:
    one, two = (Copy().batch(generator(seed), 3, 4) for seed in (1, 2))
    both = Batch(*(torch.stack(parts, dim=1) for parts in zip(one, two, strict=True)))
    logits = torch.randn(9, 2, 3, 8)
    for judge in (cost_in_bits, wrong_bits):
        together = judge(logits, both)
        assert together.shape == (2, 3)
        assert_close(together[0], judge(logits[:, 0], one))
        assert_close(together[1], judge(logits[:, 1], two))


def test_logits_of_another_shape_or_kind_are_refused() -> None:
    batch = Copy().batch(generator(), 2, 5)
    for judge in (cost_in_bits, wrong_bits):
        with pytest.raises(ValueError, match=r"^logits: got shape \(11, 2, 7\), needs"):
            judge(torch.zeros(11, 2, 7), batch)
        with pytest.raises(TypeError, match=r"^logits: got torch\.int64, needs a fl"):
            judge(torch.zeros(11, 2, 8, dtype=torch.int64), batch)
