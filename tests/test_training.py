"""Trainer: many seeds side by side learn what each would alone, and nothing is left to chance."""

import math
from typing import Any

import pytest
import tiny
import torch
from machines import MODELS, SIZE, sequence
from torch import Tensor, nn
from torch.testing import assert_close

from ntm.fast import compiler
from ntm.tasks import Copy, cost_in_bits
from ntm.training import optimizers
from ntm.training.settings import Settings
from ntm.training.stacked import StackedModels
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


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_a_population_is_a_loop_over_its_seeds(make: Any) -> None:
    models = [make() for _ in range(3)]
    population = StackedModels(models[0], compiled=False)
    parameters = population.stack(models)
    inputs = torch.stack([sequence() for _ in models], dim=1)
    together = population(parameters, inputs)
    for k, model in enumerate(models):
        assert_close(together[:, k], model(inputs[:, k])[0])


def test_compiled_a_population_gives_the_same_numbers_and_gradients() -> None:
    models = [MODELS["lstm"]() for _ in range(2)]
    inputs = torch.stack([sequence() for _ in models], dim=1)
    results = []
    for compiled in (False, True):
        population = StackedModels(models[0], compiled)
        parameters = population.stack(models).requires_grad_()
        outputs = population(parameters, inputs)
        loss = outputs.square().sum()
        results.append((outputs, *torch.autograd.grad(loss, parameters)))
        with torch.no_grad():
            assert_close(population(parameters, inputs), outputs.detach())
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_one_compiled_step_serves_sequences_of_all_lengths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled, compile_one = [], compiler._compiled
    monkeypatch.setattr(
        compiler, "_compiled", lambda *a: compiled.append(a) or compile_one(*a)
    )
    population = StackedModels(MODELS["lstm"]())
    parameters = population.stack([MODELS["lstm"]()]).requires_grad_()
    for time in (6, 9):
        population(parameters, sequence(time).unsqueeze(1)).sum().backward()
    assert len(compiled) == 2  # the step, and the way back through it
    with torch.no_grad():
        population(parameters, sequence(3).unsqueeze(1))
    assert len(compiled) == 2


def test_without_gradients_the_way_back_is_not_compiled_until_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(
        compiler, "_compiled", lambda f, _: compiled.append(f.__name__) or f
    )
    population = StackedModels(MODELS["lstm"]())
    parameters = population.stack([MODELS["lstm"]()]).requires_grad_()
    inputs = sequence(3).unsqueeze(1)
    with torch.no_grad():
        alone = population(parameters, inputs)
    assert compiled == ["_all_ahead"]
    both = population(parameters, inputs)
    both.sum().backward()
    assert compiled == ["_all_ahead", "_all_ahead", "_all_back"]
    assert_close(both.detach(), alone)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_what_is_compiled_is_the_plain_loop_for_every_model(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the compiler itself, which the test above takes along."""
    monkeypatch.setattr(compiler, "_compiled", lambda function, _: function)
    models = [make() for _ in range(2)]
    inputs = torch.stack([sequence() for _ in models], dim=1).transpose(0, 2)
    results = []
    for compiled in (False, True):
        population = StackedModels(models[0], compiled)
        parameters = population.stack(models).requires_grad_()
        outputs = population(parameters, inputs.transpose(0, 2))
        loss = outputs.square().cumsum(dim=0).sum()
        results.append((outputs, *torch.autograd.grad(loss, parameters)))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_parameter_outside_the_linear_layers_is_refused() -> None:
    model = MODELS["lstm"]()
    model.loudness = nn.Parameter(torch.ones(1))
    population = StackedModels(model)
    with pytest.raises(ValueError, match=r"^loudness: got a parameter of its own, nee"):
        population(population.stack([model]), sequence().unsqueeze(1))


def test_parameters_keep_their_names_in_a_row() -> None:
    model = MODELS["two heads"]()
    population = StackedModels(model, compiled=False)
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
        training(task_options=options).next_batch().inputs,
        training().next_batch().inputs,
    )


def test_seeds_begin_differently_and_see_different_sequences() -> None:
    start = training()
    assert not torch.equal(start.parameters[0], start.parameters[1])
    inputs = start.next_batch().inputs
    assert inputs.shape[1:3] == (3, 2)
    drawn = torch.cat([start.next_batch().inputs for _ in range(5)])
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_the_memory_may_be_smaller_while_learning() -> None:
    whole, tight, same = (
        learn(training(memory_locations=n, training_locations=few))
        for n, few in ((30, 0), (30, 5), (5, 0))
    )
    assert torch.equal(tight.parameters, same.parameters)
    assert not torch.equal(tight.parameters, whole.parameters)
    assert tight.settings.make_model(0).memory_locations == 30


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
    assert_close(clip_gradient(gradient, usual, 0.0, settings), gradient)
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
    assert shares == pytest.approx([0, 0.5, 1, 1, 0.5, LOWEST, LOWEST])


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


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_rows_do_not_see_each_other(name: str) -> None:
    for single, several in zip(minimised(name), minimised(name, 3), strict=True):
        assert torch.equal(single.expand(3, -1), several)


# A number that is not finite.


def poison(trained: Trainer, row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = trained.next_batch

    def poisoned() -> Any:
        batch = draw()
        batch.inputs[:, row] = math.nan
        return batch

    monkeypatch.setattr(trained, "next_batch", poisoned)


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


# Settings that cannot work.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "dance"}, "task: got 'dance', needs one of copy"),
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
        ({"learning_rate": 0.0}, "learning_rate: got 0.0, needs more than 0"),
        ({"learning_rate": math.nan}, "learning_rate: got nan, needs more than 0"),
        ({"clip_norm": -1.0}, "clip_norm: got -1.0, needs more than 0"),
        ({"training_locations": 2}, "memory_locations: got 2, needs at least 3"),
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
    assert then == (0.0, math.inf, 0)
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
    """A length of 20 has twenty times the bits of a length of 1."""
    task = tiny.settings().make_task()
    for length in (1, 20):
        batch = task.batch(torch.Generator().manual_seed(0), 2, length)
        bits = cost_in_bits(torch.zeros_like(batch.targets), batch)
        assert_close(bits / (batch.mask.sum(dim=0) * 8), torch.ones(2))
