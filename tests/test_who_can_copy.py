"""The models of *Who can copy?*: two forms of each, and the data that they learn from."""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ntm.heirs import attention
from ntm.runs import files, tables
from ntm.tasks import Copy
from ntm.training.trainer import solved_after

sys.path.append(str(Path(__file__).parent.parent / "book" / "_tools"))
import who_can_copy as who

every_model = pytest.mark.parametrize("name", who.MODELS)
CARDS = sorted(who.FOLDER.glob("*.json"))


def model(name: str) -> Any:
    return who.make(name, 3).double()


def answer(name: str, inputs: Tensor) -> Tensor:
    out = model(name)(inputs)
    return out[0] if isinstance(out, tuple) else out


def some_inputs(steps: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(steps, 2, 9, generator=generator, dtype=torch.float64)


@every_model
def test_step_by_step_is_all_at_once(name: str) -> None:
    inputs, one = some_inputs(), model(name)
    state, outputs = one.initial_state(2), []
    for x in inputs:
        y, state = one.step(x, state)
        outputs.append(y)
    assert torch.stack(outputs).shape == (9, 2, 8)
    assert_close(torch.stack(outputs), answer(name, inputs))


@every_model
def test_no_output_depends_on_what_comes_later(name: str) -> None:
    inputs = some_inputs()
    other = inputs.clone()
    other[5:] += 1
    before, after = answer(name, inputs), answer(name, other)
    assert_close(before[:5], after[:5])
    assert (before[5:] - after[5:]).abs().amax(dim=-1).min() > 1e-6


@every_model
def test_all_have_as_many_parameters_as_our_machine(name: str) -> None:
    count = sum(p.numel() for p in model(name).parameters())
    assert abs(count - 13_300) < 200


def test_a_seed_learns_the_same_alone_and_in_company(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(who, "BATCH", 2)
    together = who.Training("gated-deltanet", [1, 2], [1e-3, 1e-2], 4)
    alone = who.Training("gated-deltanet", [2], [1e-2], 4)
    for _ in range(2):
        together.update()
        alone.update()
    # Where a gradient is nearly 0, Adam makes a step of what rounding has left of it.
    differ = (together.parameters[1] - alone.parameters[0]).abs() > 1e-5
    assert differ.double().mean() < 0.01


def test_a_training_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(who, "BATCH", 2)
    monkeypatch.setattr(who, "EVERY", 1)

    def new() -> who.Training:
        return who.Training("state-space", [7], [1e-3], 3)

    whole, path = new(), tmp_path / "kept"
    for _ in whole.run(tmp_path / "whole"):
        pass
    next(new().run(path))
    rest = new()
    for _ in rest.run(path):
        pass
    assert torch.equal(rest.parameters, whole.parameters)
    assert rest.curve == whole.curve
    assert len(rest.curve) == 3


@pytest.mark.parametrize("task", [Copy(), who.Told()])
def test_a_lesson_is_copy_at_mixed_lengths(task: Copy) -> None:
    batch = who.lesson(task, torch.Generator().manual_seed(0), 60)
    lengths = set()
    for x, y, asked in zip(*(part.unbind(1) for part in batch), strict=True):
        length = int(x[:, 8].argmax())
        lengths.add(length)
        words = ["".join(str(int(b)) for b in v) for v in x[:length, :8]]
        alone = task.from_words(words)
        if isinstance(task, who.Told):
            alone = who.told(alone)
        steps = 2 * length + 1
        for part, mine in zip((x, y, asked), alone, strict=True):
            assert torch.equal(part[:steps], mine[:, 0])
            assert not part[steps:].any()
    assert min(lengths) < 3
    assert max(lengths) == 20


def test_who_is_told_hears_each_vector_a_step_later() -> None:
    batch = who.told(Copy(bits=2).from_words(["10", "01", "11"]))
    assert batch.inputs[:, 0].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
    ]


def test_hard_alibi_heads_see_the_last_one_two_and_all_steps() -> None:
    """A step back that a head cannot see changes nothing in what it reads."""
    torch.manual_seed(0)
    mixer = who.Attention(8, 4, "hard-alibi").double()
    mixer.outward = torch.nn.Identity()
    x = torch.randn(1, 6, 8, dtype=torch.float64)
    for back, still in ((0, 0), (1, 1), (2, 2), (5, 2)):
        other = x.clone()
        other[0, 5 - back] += 1
        changed = (mixer(x) - mixer(other))[0, 5].unflatten(0, (4, 2)).abs().amax(-1)
        assert (changed[:still] == 0).all()
        assert (changed[still:] > 0).all()


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 8, dtype=torch.float64)
    scores = [
        who._turned(q, torch.tensor([t + 3])) @ who._turned(k, torch.tensor([t])).mT
        for t in (0, 1, 50)
    ]
    for score in scores[1:]:  # the angles are computed in float32
        assert_close(score, scores[0], atol=1e-4, rtol=0)
    turned = who._turned(q, torch.tensor([4]))
    assert (turned - q).abs().min() > 0
    assert_close(turned.norm(), q.norm(), atol=1e-5, rtol=0)


def test_a_memory_of_one_bit_is_right_for_two_of_four_and_no_more() -> None:
    """All ways to remember a string of two bits in one, and to answer from it."""
    strings = range(4)
    best = max(
        sum(answers[memories[s]] == s for s in strings)
        for memories in itertools.product(range(2), repeat=4)
        for answers in itertools.product(strings, repeat=2)
    )
    assert best / 4 == who.most_exact(bits=1, length=2, width=1) == 0.5
    assert who.most_exact(bits=16, length=2) == 1
    assert who.most_exact(bits=15, length=2) == 0.5
    assert who.most_exact(bits=10**6, length=10**9) == 0


def test_what_is_carried_is_counted() -> None:
    """Rows of 32 keys and 32 values in each of two layers: start, L vectors, delimiter."""
    assert who.numbers_carried("transformer-none", 3) == 2 * 2 * 32 * 5
    assert who.numbers_carried("lstm", 3) == 2 * 52
    convolution, memory = 3 * 3 * 32, 2 * 16 * 16
    assert who.numbers_carried("deltanet", 3) == 2 * (convolution + memory)


def test_attention_steps_are_those_of_the_heirs() -> None:
    torch.manual_seed(0)
    mixer = who.Attention(8, 1, "none").double()
    mixer.outward = torch.nn.Identity()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = mixer.inward(x)[0].chunk(3, dim=-1)
    assert_close(mixer(x)[0, -1], attention(k, v, q[-1]))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_what_is_published_is_of_these_models(path: Path) -> None:
    card, name = files.read_json(path), path.stem
    curve = tables.read_curve(path.with_suffix(".csv"))
    assert card["parameters"] == sum(p.numel() for p in model(name).parameters())
    assert card["learning_rate"] in who.RATES
    assert {row.seed for row in curve} == set(card["seeds"]) == set(who.REPORTED)
    assert max(row.sequences for row in curve) == card["seen"] <= card["sequences"]
    assert card["solved"] == {str(s): n for s, n in solved_after(curve).items()}
    trials = tables.read_trials(path.with_name(f"{name}-trials.csv"))
    if card["seen"] == card["sequences"]:
        assert set(trials) == set(who.REPORTED)
    for results in trials.values():
        for r in results:
            assert r.sequences * r.size["length"] >= who.VECTORS
