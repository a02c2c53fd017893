"""Trainer: many seeds side by side learn what each would alone, and nothing is left to chance."""

import math
from typing import Any

import pytest
import tiny
import torch
from machines import MODELS, SIZE
from torch import Tensor, nn
from torch.testing import assert_close

from ntm import NTM
from ntm.tasks import Batch, Copy, NGrams, cost_in_bits, wrong_bits
from ntm.tasks.ngrams import optimal_cost
from ntm.training import optimizers
from ntm.training.conditions import next_conditions
from ntm.training.evaluation import evaluate_seeds
from ntm.training.settings import Settings
from ntm.training.stacked import StackedModels, side_by_side
from ntm.training.trainer import (
    LOWEST,
    Evaluation,
    Trainer,
    clip_gradient,
    learning_rate_at,
    solved_after,
)


def training(**changes: Any) -> Trainer:
    return Trainer(tiny.settings(**changes), compiled=False)


def learn(trained: Trainer, updates: int = 3) -> Trainer:
    for _ in range(updates):
        trained.update()
    return trained


# Many seeds as one machine.


def test_parameters_keep_their_names_in_a_row() -> None:
    model = MODELS["two heads"]()
    population = StackedModels(model)
    named = population.named(population.stack([model])[0])
    assert list(named) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert torch.equal(named[name], parameter)


@pytest.mark.parametrize("model", ["ntm", "baseline"])
def test_a_seed_learns_the_same_alone_and_in_company(model: str) -> None:
    changes = {"model": model, "baseline_size": SIZE}
    together = learn(training(seeds=(5, 3, 8), **changes))
    alone = learn(training(seeds=(3,), **changes))
    assert_close(together.parameters[1], alone.parameters[0], rtol=1e-4, atol=1e-6)


def test_what_is_biased_is_learned_from_and_not_judged_by() -> None:
    options = {"biased_share": 1.0}
    biased = training(task_options=options, evaluation_sequences=200)
    assert biased.training_task == Copy(biased_share=1.0)
    assert biased.task == Copy()
    plain = training(evaluation_sequences=200)
    assert [r.bits for r in biased.evaluate()] == [r.bits for r in plain.evaluate()]
    assert not torch.equal(
        training(task_options=options).next_batches()[0].inputs,
        training().next_batches()[0].inputs,
    )


def test_seeds_begin_differently_and_see_different_sequences() -> None:
    start = training()
    assert not torch.equal(start.parameters[0], start.parameters[1])
    assert [batch.inputs.shape[1] for batch in start.next_batches()] == [2, 2, 2]
    drawn = [start.next_batches() for _ in range(5)]
    sizes = [[len(batches[k].inputs) for batches in drawn] for k in range(3)]
    assert len(set(map(tuple, sizes))) == 3


def test_the_memory_may_be_smaller_while_learning() -> None:
    whole, tight, same = (
        learn(training(memory_locations=n, training_locations=few))
        for n, few in ((30, ()), (30, (22,)), (22, ()))
    )
    assert torch.equal(tight.parameters, same.parameters)
    assert not torch.equal(tight.parameters, whole.parameters)
    assert tight.settings.make_model(0).memory_locations == 30


def test_a_machine_may_begin_with_a_lean() -> None:
    plain = tiny.settings()
    leaning = tiny.settings(forward_bias=3.0, gate_bias=-2.0)
    parts = dict(plain.make_model(1).named_parameters())
    told = leaning.make_model(1)
    assert isinstance(told, NTM)
    changed = [n for n, p in told.named_parameters() if not torch.equal(p, parts[n])]
    assert changed == ["heads.linear.bias"]
    write = told.heads(torch.zeros(told.heads.linear.in_features)).write
    assert write.kernel[..., 2].min() > 0.75  # of about a third
    assert write.gate.max() < 0.2  # of about a half
    begun = [Trainer(s, compiled=False).parameters for s in (plain, leaning)]
    assert (begun[0] != begun[1]).sum(dim=1).tolist() == [2] * len(plain.seeds)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"forward_bias": math.nan}, "forward_bias: got nan, needs a finite number"),
        ({"gate_bias": -math.inf}, "gate_bias: got -inf, needs a finite number"),
        ({"forward_bias": 3.0, "shift_range": 0}, "forward_bias: heads with a shift"),
        (
            {"gate_bias": -2.0, "model": "baseline"},
            "forward_bias, gate_bias: the baseline has no heads",
        ),
    ],
)
def test_an_impossible_lean_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        tiny.settings(**given)


def test_how_many_locations_there_are_is_drawn_anew_and_two_stay_free() -> None:
    some = training(memory_locations=30, training_locations=(4, 9, 30))
    seen: dict[int, set[int]] = {4: set(), 9: set(), 30: set()}
    for _ in range(60):
        locations, strength = next_conditions(some.settings, some.conditions_rng)
        assert locations is not None
        assert strength == 1
        batches = some.next_batches(locations)
        seen[locations] |= {len(batch.inputs) // 2 for batch in batches}
    assert seen == {4: {1, 2}, 9: set(range(1, 8)), 30: set(range(1, 21))}
    with pytest.raises(ValueError, match=r"^training_locations: got 2, needs more "):
        some.next_batches(2)


@pytest.mark.parametrize("fast", [False, True])
def test_heads_may_have_less_of_their_strength_while_learning(
    fast: bool, compiled: list[str]
) -> None:
    settings = tiny.settings(seeds=(0,), training_strengths=(0.25,), memory_locations=6)
    weak = Trainer(settings, compiled=fast)
    assert {next_conditions(weak.settings, weak.conditions_rng) for _ in range(3)} == {
        (None, 0.25)
    }
    model, batch = settings.make_model(0), Copy().batch(torch.Generator(), 2, 3)
    tell = model.heads.forward

    def less(hidden: Tensor) -> Any:
        write, change, read = tell(hidden)
        weaker = [told._replace(strength=told.strength / 4) for told in (write, read)]
        return type(tell(hidden))(weaker[0], change, weaker[1])

    model.heads.forward = less
    (cost_in_bits(model(batch.inputs)[0], batch) / 24).mean().backward()
    found = weak.gradients([batch], next_conditions(weak.settings, weak.conditions_rng))
    for name, part in weak.stacked.named(found[0]).items():
        assert_close(part, model.get_parameter(name).grad, rtol=1e-4, atol=1e-6)
    assert bool(compiled) == fast


def test_judged_are_heads_with_all_their_strength() -> None:
    weak, whole = training(training_strengths=(0.25,)), training()
    assert weak.evaluate() == whole.evaluate()


def test_each_condition_is_drawn() -> None:
    some = training(training_locations=(22, 30), training_strengths=(0.5, 1.0))
    assert (
        len({next_conditions(some.settings, some.conditions_rng) for _ in range(40)})
        == 4
    )


def test_many_seeds_go_through_in_groups_and_none_notices() -> None:
    """Behind the end of a shorter sequence nothing is asked for."""
    many = training(seeds=tuple(range(5)))
    parameters, batches = many.parameters, many.next_batches()
    assert len({len(batch.inputs) for batch in batches}) > 2
    alone = [
        many.gradient(parameters[k : k + 1], side_by_side([batch], many.device))
        for k, batch in enumerate(batches)
    ]
    together = many.gradients(batches)
    assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-7)


def test_training_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    learn(training()).evaluate()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_settings_give_the_same_weights() -> None:
    assert torch.equal(learn(training()).parameters, learn(training()).parameters)


def test_training_lowers_the_cost() -> None:
    short = training(seeds=(0,), learning_rate=0.01, warmup_until=0.0, sequences=10**6)
    before = short.evaluate()[0].bits
    learn(short, updates=30)
    assert short.evaluate()[0].bits < before - 1


def test_the_loop_ends_after_all_sequences_and_evaluates_on_the_way() -> None:
    rows = [row for rows in training(sequences=11) for row in rows]
    assert [r.sequences for r in rows if r.seed == 1] == [4, 8, 12]
    assert {r.seed for r in rows} == {0, 1, 2}
    assert all(0 <= r.wrong_bits <= 160 and r.bits > 0 for r in rows)


def test_an_evaluation_says_what_the_best_answers_to_its_sequences_cost() -> None:
    assert {row.optimum for row in training().evaluate()} == {None}
    options = {"context": 2, "length": 20}
    chance = training(task="n-grams", task_options=options, evaluation_sequences=5)
    rows = chance.evaluate()
    fresh = torch.Generator().manual_seed(2**31)
    bits = NGrams(**options).batch(fresh, 5, 20).targets[..., 0]
    best = optimal_cost(bits, 2).mean().item()
    assert [row.optimum for row in rows] == [pytest.approx(best)] * 3
    assert all(row.excess == row.bits - row.optimum > 0 for row in rows)


def test_what_is_judged_is_the_average_of_the_last_updates() -> None:
    trained, path = training(ema_decay=0.5), []
    for _ in range(30):
        trained.update()
        path.append(trained.parameters)
    recent = sum(p * 0.5 ** (k + 1) for k, p in enumerate(reversed(path)))
    assert_close(trained.ema, recent, rtol=1e-3, atol=1e-3)
    no_average = learn(training(ema_decay=0.0))
    assert torch.equal(no_average.ema, no_average.parameters)


def test_an_evaluation_is_of_the_longest_length_and_the_same_for_all_seeds() -> None:
    twins = training()
    twins.ema = twins.ema[:1].repeat(3, 1)
    rows = twins.evaluate()
    assert [r.bits for r in rows] == pytest.approx([rows[0].bits] * 3)
    assert 120 < rows[0].bits < 240  # near one bit for each of 160


def test_each_evaluation_is_of_fresh_sequences_and_those_of_another_run_are_the_same() -> (
    None
):
    seen: list[Tensor] = []

    def watched(trained: Trainer) -> Trainer:
        answer = trained.stacked

        def noting(parameters: Tensor, inputs: Tensor, **settings: int) -> Tensor:
            seen.append(inputs)
            return answer(parameters, inputs, **settings)

        trained.stacked = noting  # type: ignore[assignment]
        return trained

    one, other = watched(training()), training()
    one.evaluate()
    one.updates = other.updates = 1
    one.evaluate()
    watched(other).evaluate()
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])
    learned = one.next_batches()[0].inputs
    assert all(
        not torch.equal(learned[:, 0], drawn[: len(learned), 0, 0]) for drawn in seen
    )


# Its own limit for each seed.


def test_each_seed_has_its_own_limit_on_the_norm() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    limited = clip_gradient(
        gradient, torch.zeros(3, 1), 1e-3, tiny.settings(clip_norm=1.0)
    )
    assert_close(limited, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_components_can_be_limited_as_in_the_paper() -> None:
    gradient = torch.tensor([[30.0, -4.0]])
    paper = tiny.settings(clip_norm=math.inf, clip_component=10.0)
    limited = clip_gradient(gradient, torch.zeros(1, 1), 1e-3, paper)
    assert limited.tolist() == [[10, -4]]


def test_an_unusual_gradient_is_shortened_to_what_its_step_may_be() -> None:
    settings = tiny.settings(clip_usual=1.5, clip_norm=100.0, learning_rate=1e-3)
    gradient = torch.tensor([[6.0, 8.0]])
    usual = torch.tensor([[4.0]])  # a norm of 2
    assert_close(clip_gradient(gradient, usual, 1e-3, settings), gradient * 0.3)
    assert_close(clip_gradient(gradient, usual, 5e-4, settings), gradient * 0.6)
    assert_close(clip_gradient(gradient, usual * 0, 1e-3, settings), gradient)
    assert_close(clip_gradient(gradient * 0, usual, 1e-3, settings), gradient * 0)


def test_what_is_usual_is_remembered_of_what_was_let_through() -> None:
    trained = training(
        clip_usual=1.5, warmup_until=0.0, hold_until=0.9, decay_until=1.0
    )
    seen = []
    for _ in range(3):
        trained.update()
        seen.append(trained.mean_sq_norm.clone())
    assert all((usual > 0).all() for usual in seen)
    # The second norm was at most 1.5 times the first; this is the mean of two squares.
    assert (seen[1] <= seen[0] * (1 + 1.5**2) / 2 * 1.0001).all()
    twin = training(clip_usual=1.5)
    twin.load_state_dict(trained.state_dict())
    assert torch.equal(twin.mean_sq_norm, seen[-1])


def test_the_learning_rate_rises_stays_falls_and_stays_low() -> None:
    s = Settings(
        sequences=1000,
        learning_rate=1.0,
        warmup_until=0.1,
        hold_until=0.3,
        decay_until=0.7,
    )
    shares = [learning_rate_at(s, done) for done in (0, 50, 100, 299, 500, 700, 1000)]
    assert shares == pytest.approx([0.04, 0.54, 1, 1, 0.5, LOWEST, LOWEST])


@pytest.mark.parametrize("changes", [{}, {"warmup_until": 0.15}, {"batch_size": 4}])
def test_every_update_learns_the_first_one_too(changes: dict[str, Any]) -> None:
    trained = training(**changes)
    while not trained.finished:
        before = trained.parameters
        trained.update()
        assert (trained.parameters != before).any(dim=-1).all()


# The two optimisers.


def minimised(name: str, rows: int = 1) -> list[Tensor]:
    """Parameters over a few updates on a fixed quadratic."""
    p = torch.linspace(-1, 2, 6, dtype=torch.float64).repeat(rows, 1)
    memory, path = optimizers.start(p), []
    for _ in range(20):
        change, memory = optimizers.OPTIMIZERS[name](p.cos() * p, memory, 0.01)
        p = p + change
        path.append(p)
    return path


def test_adam_is_pytorchs() -> None:
    p = nn.Parameter(torch.linspace(-1, 2, 6, dtype=torch.float64))
    theirs = torch.optim.Adam([p], lr=0.01)
    for ours in minimised("adam"):
        p.grad = p.detach().cos() * p.detach()
        theirs.step()
        assert_close(ours[0], p.detach())


def test_rmsprop_is_that_of_graves_2013_and_not_pytorchs() -> None:
    path = [p[0].tolist() for p in minimised("rmsprop")]
    for k in range(6):
        w = torch.linspace(-1, 2, 6, dtype=torch.float64)[k].item()
        n = g_mean = delta = 0.0
        for ours in path:
            g = math.cos(w) * w
            n = 0.95 * n + 0.05 * g * g
            g_mean = 0.95 * g_mean + 0.05 * g
            delta = 0.9 * delta - 0.01 * g / math.sqrt(n - g_mean * g_mean + 1e-4)
            w += delta
            assert w == pytest.approx(ours[k], abs=1e-12)


def test_rmsprop_takes_no_root_of_a_negative_number() -> None:
    """Rounding makes the variance of equal gradients less than 0, by more than 1e-4."""
    gradient = torch.linspace(5, 10, 50_000)
    memory = optimizers.start(gradient)
    for _ in range(320):
        change, memory = optimizers.rmsprop(gradient, memory, 1e-4)
        assert change.isfinite().all()


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_rows_do_not_see_each_other(name: str) -> None:
    for single, several in zip(minimised(name), minimised(name, 3), strict=True):
        assert torch.equal(single.expand(3, -1), several)


# A number that is not finite.


def poison(trained: Trainer, row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = trained.next_batches

    def poisoned(*arguments: Any) -> Any:
        batches = draw(*arguments)
        batches[row].inputs[:] = math.nan
        return batches

    monkeypatch.setattr(trained, "next_batches", poisoned)


def test_a_seed_that_turns_non_finite_stops_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, ill = training(), training()
    learn(ill, 2)
    good = ill.parameters[1].clone()
    with monkeypatch.context() as patch:
        poison(ill, 1, patch)
        ill.update()
    learn(ill, 3)
    learn(sound, 6)
    assert ill.active.tolist() == [True, False, True]
    assert torch.equal(ill.parameters[1], good)
    for other in (0, 2):
        assert torch.equal(ill.parameters[other], sound.parameters[other])
    assert [row.seed for row in ill.evaluate()] == [0, 2]
    (stopped,) = ill.stopped
    assert (stopped.seed, stopped.update, stopped.sequences) == (1, 3, 6)
    assert "controller.gates.0.weight" in stopped.parameter
    assert str(stopped).startswith("seed 1 stopped at update 3 (6 sequences): the gra")


def test_a_seed_whose_update_is_not_finite_keeps_its_last_good_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though its gradient is: an optimiser may make of it what it should not."""
    ill = learn(training(), 2)
    good, adam = ill.state_dict(), optimizers.OPTIMIZERS["adam"]

    def spoiled(gradient: Tensor, memory: Any, rate: float) -> Any:
        change, memory = adam(gradient, memory, rate)
        change[1, 0] = math.inf
        return change, memory

    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", spoiled)
    ill.update()
    assert ill.active.tolist() == [True, False, True]
    for name in ("parameters", "ema", "mean_sq_norm", "optimizer.square"):
        assert torch.equal(ill.state_dict()[name][1], good[name][1]), name
    assert (ill.stopped[0].seed, ill.stopped[0].parameter) == (1, "initial_row")


def test_when_all_seeds_have_stopped_so_does_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ill = training(seeds=(4,))
    poison(ill, 0, monkeypatch)
    assert list(ill) == [[]]
    assert ill.finished
    assert ill.updates == 1


# Going on.


def test_given_back_its_tensors_a_training_goes_on_as_if_never_stopped() -> None:
    whole = learn(training(), 6)
    half = learn(training(), 3)
    other = training()
    other.load_state_dict(half.state_dict())
    learn(other, 3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_tensors_that_do_not_fit_are_refused_by_name() -> None:
    tensors = training().state_dict()
    fewer = {n: t for n, t in tensors.items() if n != "optimizer.mean"}
    with pytest.raises(ValueError, match=r"^optimizer\.mean: got nothing, needs \(3, "):
        training().load_state_dict(fewer)
    narrow = tensors | {"parameters": tensors["parameters"][:, 1:]}
    with pytest.raises(ValueError, match=r"^parameters: got \(3, .*\), needs \(3, "):
        training().load_state_dict(narrow)
    with pytest.raises(ValueError, match=r"^parameters: got torch\.float64, needs"):
        training().load_state_dict(
            tensors | {"parameters": tensors["parameters"].double()}
        )


# What counts as solved.


def curve(seed: int, wrong: list[float]) -> list[Evaluation]:
    return [Evaluation(seed, 100 * (k + 1), 0.0, w) for k, w in enumerate(wrong)]


def test_solved_is_a_median_of_ten_evaluations_below_a_tenth_of_a_bit() -> None:
    assert solved_after(curve(0, [80.0] * 5 + [0.0] * 5)) == {0: None}
    assert solved_after(curve(0, [80.0] * 4 + [0.0] * 6)) == {0: 1000}
    assert solved_after(curve(0, [0.0] * 9)) == {0: None}
    assert solved_after(curve(0, [0.1] * 20)) == {0: None}
    both = curve(3, [0.0] * 10) + curve(4, [9.0] * 10)
    assert solved_after(both) == {3: 1000, 4: None}


def test_where_chance_decides_solved_is_a_cost_next_to_the_optimum() -> None:
    """Ten evaluations of 200 bits at best: 201 are within a half per cent, or not."""

    def near(excess: list[float], optimum: float | None = 200.0) -> list[Evaluation]:
        return [
            Evaluation(0, 100 * (k + 1), (optimum or 0.0) + more, 70.0, optimum)
            for k, more in enumerate(excess)
        ]

    assert near([0.5])[0].excess == 0.5
    assert solved_after(near([0.9] * 10)) == {0: 1000}
    assert solved_after(near([1.0] * 20)) == {0: None}
    assert solved_after(near([9.0] * 4 + [0.9] * 6)) == {0: 1000}
    assert solved_after(near([9.0] * 5 + [0.9] * 5)) == {0: None}
    assert near([0.5], None)[0].excess is None
    assert solved_after(near([0.9] * 10, None)) == {0: None}  # by its wrong bits
    # The optimum was not yet written down when the run began: nobody can say.
    assert solved_after(near([0.0] * 9, None) + near([0.9])) == {0: None}


# Settings that cannot work.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "dance"}, "task: got 'dance', needs one of "),
        (
            {"task_options": {"speed": 1}},
            "task.speed: is unknown to copy, which has bi",
        ),
        ({"task_options": {"longest": 0}}, "longest: got 0, needs at least 1"),
        ({"model": "gru"}, "model: got 'gru', needs one of baseline, ntm"),
        ({"controller": "gru"}, "controller: got"),
        ({"optimizer": "sgd"}, "optimizer: got 'sgd', needs one of adam, rmsprop"),
        ({"sequences": 0}, "sequences: got 0, needs at least 1"),
        ({"batch_size": 0}, "batch_size: got 0, needs at least 1"),
        ({"memory_locations": 0}, "memory_locations: got 0"),
        ({"memory_locations": 2}, "memory_locations: got 2, needs at least 3"),
        ({"baseline_layers": 0, "model": "baseline"}, "layers: got 0"),
        ({"seeds": ()}, "seeds: got .*, needs one or more"),
        ({"seeds": (1, 1)}, "seeds: got .*, needs one or more, all different"),
        ({"seeds": (-1,)}, "seeds: got -1, needs at least 0"),
        ({"seeds": (2**31,)}, "seeds: got 2147483648, needs less than 2³¹"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0, needs more than 0"),
        ({"learning_rate": math.nan}, "learning_rate: got nan, needs more than 0"),
        ({"learning_rate": math.inf}, "learning_rate: got inf, needs a finite number"),
        ({"clip_norm": -1.0}, "clip_norm: got -1.0, needs more than 0"),
        ({"training_strengths": (0.5, 0)}, "training_strengths: got 0, needs 0 to 1"),
        ({"training_strengths": (1.5,)}, "training_strengths: got 1.5, needs 0 to 1"),
        (
            {"training_strengths": (0.5,), "model": "baseline"},
            "training_strengths: the baseline has no heads",
        ),
        ({"training_locations": (9, 2)}, "memory_locations: got 2, needs at least 3"),
        ({"ema_decay": 1.0}, "ema_decay: got 1.0, needs 0 ≤ ema_decay < 1"),
        (
            {"hold_until": 0.95},
            "warmup_until, hold_until, decay_until: got 0.02, 0.95, 0.8, needs 0 ≤ warmup_until",
        ),
        ({"evaluate_every": 5}, "evaluate_every: got 5, needs a multiple of the batch"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        tiny.settings(**changes)


def test_settings_survive_json() -> None:
    settings = tiny.settings()
    assert Settings.from_json(settings.to_json()) == settings


def test_an_older_file_has_the_names_and_the_lacks_of_its_time() -> None:
    new = tiny.settings(num_heads=2, warmup_until=0.1).to_json()
    lacks = ("ema_decay", "clip_usual", "training_locations", "task_options")
    old = {name: value for name, value in new.items() if name not in lacks}
    old |= {"heads": old.pop("num_heads"), "rise": old.pop("warmup_until")}
    read = Settings.from_json(old)
    assert (read.num_heads, read.warmup_until) == (2, 0.1)
    then = (read.ema_decay, read.clip_usual, read.training_locations)
    assert then == (0.0, math.inf, ())
    few = [Settings.from_json(old | {"training_locations": n}) for n in (0, 22)]
    assert [read.training_locations for read in few] == [(), (22,)]
    assert read.make_task(learning=True) == Copy()
    assert (
        Settings.from_json(old | {"uneven": 0.25}).task_options["biased_share"] == 0.25
    )


def test_an_option_that_a_file_does_not_know_yet_is_what_the_task_says() -> None:
    new = tiny.settings().to_json()
    assert new["task_options"]["biased_share"] == 0.5  # usual in a new run
    old = new | {"task_options": {"longest": 7}}
    assert Settings.from_json(old).make_task(learning=True) == Copy(longest=7)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v | {"speed": 1}, "settings: speed is unknown"),
        (lambda v: v | {"seeds": 3}, "seeds: got 3, needs a list"),
        (lambda v: v | {"task_options": 3}, "task_options: got 3, needs an object"),
        (lambda v: [v], "settings: got list, needs an object"),
        (lambda v: v | {"num_heads": 0}, "num_heads: got 0, needs at least 1"),
    ],
)
def test_settings_that_were_changed_by_hand_are_refused(
    spoil: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Settings.from_json(spoil(tiny.settings().to_json()))


def test_the_cost_that_is_learned_from_weighs_all_lengths_alike() -> None:
    """A length of 20 has twenty times the bits of a length of 1.

    A machine whose answers depend on its output's bias alone has the gradient there of
    a bit of the answer, whatever the length: p − y in nats, the mean over the answer.
    """
    trained = training(seeds=(0,))
    task, stream = trained.task, torch.Generator().manual_seed(0)
    named = trained.stacked.named(torch.zeros_like(trained.parameters))
    parameters = torch.cat([part.flatten(1) for part in named.values()], dim=1)
    for length in (1, 20):
        batch = Batch(*(part.unsqueeze(1) for part in task.batch(stream, 2, length)))
        gradient = trained.gradient(parameters, batch)
        answers = batch.targets[-length:].mean(dim=(0, 2))[0]
        by_bias = trained.stacked.named(gradient)["output.bias"][0]
        assert_close(by_bias * 8 * math.log(2), 0.5 - answers)


# Many seeds on the same sequences.


@pytest.mark.parametrize("locations", [None, 40])
def test_seeds_that_are_counted_together_do_what_each_does_alone(
    locations: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, of which the last has more sequences than are wanted."""
    seeds, drawn = 11, []
    draw = Copy.batch

    def kept(*arguments: Any) -> Batch:
        drawn.append(draw(*arguments))
        return drawn[-1]

    several = training(
        seeds=tuple(range(seeds)), model="ntm" if locations else "baseline"
    )
    monkeypatch.setattr(Copy, "batch", kept)
    results = evaluate_seeds(
        several.stacked, several.parameters, Copy(), (2,), 70, 0, locations
    )
    monkeypatch.undo()
    settings = {"memory_locations": locations} if locations else {}
    for row in range(seeds):
        model = several.settings.make_model(row)
        wrong = []
        for batch in drawn:
            begin = model.initial_state(batch.inputs.shape[1], **settings)
            wrong += wrong_bits(model(batch.inputs, begin)[0], batch).tolist()
        assert len(wrong) > 70
        wrong = wrong[:70]
        assert results[row].wrong_bits == sum(wrong)
        assert results[row].exact == wrong.count(0)
        assert results[row].where == (2, locations)


def test_other_sizes_and_seeds_are_counted_on_other_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, draw, one = [], Copy.batch, training(seeds=(0,))

    def kept(*arguments: Any) -> Batch:
        batch = draw(*arguments)
        first.append(tuple(batch.inputs[0].flatten().tolist()))
        return batch

    monkeypatch.setattr(Copy, "batch", kept)
    for size, seed in ((3, 0), (4, 0), (3, 1), (3, 0)):
        evaluate_seeds(one.stacked, one.parameters, Copy(), (size,), 8, seed, 30)
    assert first[0] == first[3]
    assert len(set(first)) == 3
