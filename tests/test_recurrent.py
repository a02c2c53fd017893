"""NTM and Baseline are used as PyTorch's own layers are."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from machines import MODELS, leaves, sequence, small, small_baseline
from torch import Tensor, nn
from torch.testing import assert_close

from ntm.baseline import Baseline
from ntm.machine import NTM, State, Weightings
from ntm.recurrent import Recurrent

ROOT = Path(__file__).parent.parent
Make = Callable[[], Recurrent]
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


@every_model
def test_a_sequence_without_a_batch_is_a_batch_of_one(make: Make) -> None:
    model, inputs = make(), sequence()
    outputs, state = model(inputs[:, :1])
    alone, alone_state = model(inputs[:, 0])
    assert_close(alone, outputs[:, 0], rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(leaves(alone_state), leaves(state), strict=True):
        assert_close(ours, theirs[0], rtol=1e-12, atol=1e-12)
    goes_on, _ = model(inputs[:, 0], alone_state)
    assert_close(goes_on, model(inputs[:, :1], state)[0][:, 0])


def test_a_trace_without_a_batch_has_none_either() -> None:
    machine, inputs = small(), sequence()
    _, _, trace = machine.trace(inputs[:, 0])
    _, _, batch = machine.trace(inputs[:, :1])
    for ours, theirs in zip(leaves(trace), leaves(batch), strict=True):
        assert_close(ours, theirs[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [NTM, Baseline])
def test_device_and_dtype_are_those_that_were_asked_for(kind: type[Recurrent]) -> None:
    model = kind(9, 8, dtype=torch.float64)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert model(torch.zeros(2, 1, 9, dtype=torch.float64))[0].dtype == torch.float64
    assert {p.device.type for p in kind(9, 8, device="meta").parameters()} == {"meta"}


def test_a_seed_draws_the_same_numbers_in_every_type() -> None:
    torch.manual_seed(5)
    single = NTM(9, 8)
    torch.manual_seed(5)
    double = NTM(9, 8, dtype=torch.float64)
    for ours, theirs in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(ours.double(), theirs)


def test_no_gradient_goes_back_through_a_detached_state() -> None:
    machine, inputs = small(num_heads=2), sequence().requires_grad_()
    _, state = machine(inputs[:3])
    cut = state.detach()
    assert isinstance(cut, State)
    assert isinstance(cut.weightings, Weightings)
    for ours, theirs in zip(leaves(cut), leaves(state), strict=True):
        assert torch.equal(ours, theirs)
        assert not ours.requires_grad
    machine(inputs[3:], cut)[0].sum().backward()
    assert (inputs.grad[:3] == 0).all()
    assert (inputs.grad[3:] != 0).any()


@every_model
def test_reset_parameters_draws_what_the_constructor_draws(make: Make) -> None:
    model = make()
    torch.manual_seed(3)
    fresh = type(model)(**model.config, dtype=torch.float64)
    torch.manual_seed(3)
    model.reset_parameters()
    for ours, theirs in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@every_model
def test_a_model_knows_how_it_was_made_and_prints_it(make: Make) -> None:
    model = make()
    again = type(model)(**json.loads(json.dumps(model.config))).double()
    again.load_state_dict(model.state_dict())
    inputs = sequence()
    assert torch.equal(again(inputs)[0], model(inputs)[0])
    for name, value in model.config.items():
        assert f"{name}={value!r}" in str(model)


@every_model
def test_a_step_can_be_exported(make: Make) -> None:
    """The exported program is a graph of its own: what the model then becomes is nothing to it."""

    class Step(nn.Module):
        def __init__(self, model: Recurrent):
            super().__init__()
            self.model = model

        def forward(self, inputs: Tensor, state: object) -> object:
            return self.model.step(inputs, state)

    model, inputs = make().requires_grad_(False), sequence()
    expected, last = model(inputs)
    state = model.initial_state(2)
    step = torch.export.export(Step(model), (inputs[0], state)).module()
    for x, y in zip(inputs, expected, strict=True):
        ours, state = step(x, state)
        assert_close(ours, y, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(leaves(state), leaves(last), strict=True):
        assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@every_model
def test_it_runs_under_autocast_and_goes_on(make: Make) -> None:
    """Parts of the state then have another type than the parameters."""
    model, inputs = make().float(), sequence().float()
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = model(inputs)
        more, _ = model(inputs, state)
    assert outputs.isfinite().all()
    assert more.isfinite().all()


SNIPPET = """
import torch
import ntm
from ntm.baseline import Baseline

machine = ntm.NTM(9, 8, device="cpu", dtype=torch.float32)
outputs, state, trace = machine.trace(torch.zeros(3, 1, 9))
reveal_type(trace.memory)
outputs, state = machine(torch.zeros(3, 1, 9), state.detach())
reveal_type(state.weightings.read)
outputs, carried = Baseline(9, 8)(torch.zeros(3, 1, 9))
reveal_type(carried)
ntm.save("mine", machine, card={"note": "mine"})
shipped = ntm.load("copy-lstm")
outputs, state, trace = shipped.trace(torch.zeros(3, 1, 9))
reveal_type(shipped)
reveal_type(ntm.load("mine", Baseline))
"""


def test_a_users_file_passes_the_strictest_type_check(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SNIPPET)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "mine.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    shown = re.findall(r'Revealed type is "(.*)"', result.stdout)
    tensor = "torch._tensor.Tensor"
    assert [name.removeprefix("builtins.") for name in shown] == [
        tensor,
        tensor,
        f"tuple[{tensor}, ...]",
        "ntm.machine.NTM",
        "ntm.baseline.Baseline",
    ]


# What a person is told whose state does not fit.


def wrong_states() -> dict[str, tuple[Callable[[State], object], str]]:
    zeros = torch.zeros
    return {
        "no state": (lambda s: s.memory, r"state: got Tensor, needs State of 4"),
        "too short": (lambda s: s[:2], r"state: got tuple of 2, needs State of 4"),
        "a list": (
            lambda s: s._replace(controller=list(s.controller)),
            r"state\.controller: got list, needs tuple of 2",
        ),
        "shape": (
            lambda s: s._replace(reads=zeros(2, 1, 7, dtype=torch.float64)),
            r"state\.reads: got a tensor of shape \(2, 1, 7\), needs \(2, 1, 4\)",
        ),
        "a tensor too few dimensions": (
            lambda s: s._replace(memory=zeros(11, dtype=torch.float64)),
            r"state\.memory: got a tensor of shape \(11,\), needs \(2, 11, 4\)",
        ),
        "locations": (
            lambda s: s._replace(memory=zeros(2, 9, 4, dtype=torch.float64)),
            r"state\.weightings\.write: got a tensor of shape \(2, 1, 11\), needs "
            r"\(2, 1, 9\)",
        ),
        "dtype": (
            lambda s: s._replace(memory=s.memory.float()),
            r"state\.memory: got torch\.float32, needs torch\.float64 as the param",
        ),
        "device": (
            lambda s: s._replace(
                controller=(s.controller[0], s.controller[1].to("meta"))
            ),
            r"state\.controller\[1\]: got a tensor on meta, needs cpu, where the param",
        ),
    }


@pytest.mark.parametrize(
    ("change", "message"), wrong_states().values(), ids=wrong_states().keys()
)
def test_a_state_with_a_wrong_part_is_refused_by_name(
    change: Callable[[State], object], message: str
) -> None:
    machine = small()
    state = change(machine.initial_state(2))
    for run in (machine, machine.trace):
        with pytest.raises((TypeError, ValueError), match=f"^{message}") as caught:
            run(sequence(), state)
        assert "\n" not in str(caught.value)


def test_inputs_unlike_the_parameters_are_refused() -> None:
    for model in (small(), small_baseline()):
        with pytest.raises(
            TypeError, match=r"^inputs: got torch.float32, needs torch.f"
        ):
            model(sequence().float())
        with pytest.raises(
            ValueError, match=r"^inputs: got a tensor on meta, needs cpu"
        ):
            model(sequence().to("meta"))
        with pytest.raises(
            ValueError, match=r"^inputs: got shape \(2, 4\), needs \(…, 3\)"
        ):
            model.step(torch.zeros(2, 4, dtype=torch.float64), model.initial_state(2))


def test_a_state_with_a_batch_is_refused_for_a_sequence_without() -> None:
    machine = small()
    with pytest.raises(
        ValueError,
        match=r"^state\.memory: .* \(11, 4\) to match inputs without a batch",
    ):
        machine(sequence()[:, 0], machine.initial_state(1))


def test_a_controller_that_is_no_name_is_refused_in_a_line() -> None:
    with pytest.raises(
        TypeError, match=r"^controller: got \['lstm'\], needs .*lstm\"$"
    ):
        NTM(9, 8, controller=["lstm"])
