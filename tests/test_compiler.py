"""What is compiled is the plain loop: for every model, one's own too, or it says why not.

The compiler itself is in two tests only; in all others it gives back what it was given.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from machines import INPUTS, MODELS, OUTPUTS, SIZE, restless, sequence, small
from mechanics import MECHANICS, Mechanism, assert_compiled_it_is_the_same
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from ntm.controllers import Carried
from ntm.fast import inductor
from ntm.fast.compiler import CompiledModels
from ntm.machine import NTM, State, Trace
from ntm.training.stacked import CompilerError, StackedModels, stacked_models


def outputs_and_gradients(stacked: StackedModels, models: list[Any]) -> tuple[Tensor]:
    torch.manual_seed(1)
    inputs = torch.stack([sequence() for _ in models], dim=1)
    parameters = stacked.stack(models).requires_grad_()
    # Not contiguous, as a batch may be.
    outputs = stacked(parameters, inputs.transpose(0, 2).contiguous().transpose(0, 2))
    loss = outputs.square().cumsum(dim=0).sum()
    return (outputs, *torch.autograd.grad(loss, parameters))


def assert_it_is_the_plain_loop(models: list[Any]) -> None:
    plain = outputs_and_gradients(StackedModels(models[0]), models)
    ours = outputs_and_gradients(CompiledModels(models[0]), models)
    for a, b in zip(ours, plain, strict=True):
        assert_close(a, b, rtol=1e-9, atol=1e-9)
    alone = outputs_and_gradients(StackedModels(models[1]), models[1:])[0]
    assert alone.shape[1] == 1


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_a_population_is_a_loop_over_its_seeds(make: Any) -> None:
    models = [make() for _ in range(3)]
    population = StackedModels(models[0])
    inputs = torch.stack([sequence() for _ in models], dim=1)
    together = population(population.stack(models), inputs)
    for k, model in enumerate(models):
        assert_close(together[:, k], model(inputs[:, k])[0])


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_what_is_compiled_is_the_plain_loop_for_every_model(
    make: Any, compiled: list[str]
) -> None:
    assert_it_is_the_plain_loop([make() for _ in range(2)])
    assert compiled == ["_all_forward", "_all_backward"]


# With the compiler itself.


def test_compiled_it_gives_the_same_numbers_and_gradients_at_any_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, compile_for = [], inductor.compile_for

    def noting(function: Any, tensors: Any) -> Any:
        names.append(function.__name__)
        return compile_for(function, tensors)

    monkeypatch.setattr(inductor, "compile_for", noting)
    models = [small() for _ in range(2)]
    ours, plain = CompiledModels(models[0]), StackedModels(models[0])
    results = [outputs_and_gradients(stacked, models) for stacked in (ours, plain)]
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=1e-9, atol=1e-9)
    longer = torch.stack([sequence(9) for _ in models], dim=1)
    parameters = ours.stack(models)
    assert_close(ours(parameters, longer), plain(parameters, longer))
    with torch.no_grad():
        assert_close(ours(parameters, longer), plain(parameters, longer))
    assert names == ["_all_forward", "_all_backward"]


@pytest.mark.parametrize("mechanism", MECHANICS.values(), ids=MECHANICS.keys())
def test_a_mechanism_traced_gives_the_same_numbers_and_gradients(
    mechanism: Mechanism,
) -> None:
    """As the compiler sees it, without what it makes of that."""
    assert_compiled_it_is_the_same([mechanism], "aot_eager")


def test_the_mechanisms_compiled_give_the_same_numbers_and_gradients() -> None:
    """In one program: to make one for each takes twice as long."""
    assert_compiled_it_is_the_same([*MECHANICS.values()], "inductor")


# Models of one's own.


class Layers(nn.Module):
    """A controller of two layers of one size, registered in the other order."""

    def __init__(self, inputs: int, size: int):
        super().__init__()
        self.second = nn.Linear(size, size)
        self.first = nn.Linear(size, size, bias=False)
        self.enter = nn.Linear(inputs, size)

    def initial_state(self, batch_size: int) -> Carried:
        return ()

    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        entered = torch.tanh(self.enter(inputs))
        return torch.tanh(self.second(torch.tanh(self.first(entered)))), state


class Twice(Layers):
    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        return self.first(super().forward(inputs, state)[0]), state


class Tied(Layers):
    """Uses the weight of a layer a second time, and a number of its own."""

    def __init__(self, inputs: int, size: int):
        super().__init__(inputs, size)
        self.loudness = nn.Parameter(torch.ones(size))

    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        hidden, state = super().forward(inputs, state)
        back = functional.linear(hidden, self.second.weight)
        return torch.tanh(back * self.loudness), state


class Doubling(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        return 2 * super().forward(inputs).square()


def with_controller(kind: Callable[[int, int], nn.Module]) -> NTM:
    model = small()
    model.controller = kind(INPUTS + model.memory_width, SIZE)
    return restless(model).double()  # type: ignore[return-value]


def with_a_layer_of_another_kind() -> NTM:
    model = small()
    model.output = Doubling(SIZE + model.memory_width, OUTPUTS)
    return restless(model).double()  # type: ignore[return-value]


class OwnStep(NTM):
    """Another addressing: what was read last is read again, as loud as is learned."""

    def __init__(self, *sizes: int, **options: Any):
        super().__init__(*sizes, **options)
        self.again = nn.Parameter(torch.ones(1))

    def _step(self, inputs: Tensor, state: State) -> tuple[Tensor, State, Trace]:
        outputs, after, trace = super()._step(inputs, state)
        reads = after.reads + self.again * state.reads
        return outputs, after._replace(reads=reads), trace


class OwnOutput(NTM):
    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = super().step(inputs, state)
        return outputs * outputs, state


def of_kind(kind: type[NTM]) -> NTM:
    model = kind(INPUTS, OUTPUTS, controller_size=SIZE, memory_locations=5)
    return restless(model).double()  # type: ignore[return-value]


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_controller(Layers),
        lambda: with_controller(Tied),
        with_a_layer_of_another_kind,
        lambda: of_kind(OwnStep),
        lambda: of_kind(OwnOutput),
    ],
    ids=[
        "layers called in another order",
        "parameters used outside of layers",
        "a layer that is more than linear",
        "an addressing of its own",
        "a step of its own",
    ],
)
@pytest.mark.usefixtures("compiled")
def test_a_model_of_ones_own_is_trained_as_what_it_is(make: Any) -> None:
    assert_it_is_the_plain_loop([make() for _ in range(2)])


@pytest.mark.usefixtures("compiled")
def test_a_part_of_ones_own_leaves_the_step_fast() -> None:
    class Plain(NTM):
        def extra(self) -> None: ...

    for model in (with_controller(Layers), of_kind(Plain)):
        outputs = CompiledModels(model)
        outputs(outputs.stack([model]), sequence().unsqueeze(1))
        (steps,) = outputs._known.values()
        assert len(steps.split([*range(50)])[3]) > len(steps.layers)


def test_a_layer_that_is_called_twice_in_a_step_is_refused() -> None:
    model = with_controller(Twice)
    population = CompiledModels(model)
    with pytest.raises(
        ValueError, match=r"^controller\.first: is called twice .*eager"
    ):
        population(population.stack([model]), sequence().unsqueeze(1))


# What is passed on, and what is kept.


@pytest.mark.parametrize("kind", [StackedModels, CompiledModels])
@pytest.mark.usefixtures("compiled")
def test_settings_are_passed_on_by_name(kind: Any) -> None:
    model = small()
    population = kind(model)
    told = population.stack([model]), sequence().unsqueeze(1)
    alone = model(told[1][:, 0], model.initial_state(2, memory_locations=9))[0]
    assert_close(population(*told, memory_locations=9)[:, 0], alone)
    with pytest.raises(TypeError, match="unexpected keyword argument 'memmory_loca"):
        population(*told, memmory_locashuns=9)


def test_without_gradients_the_way_back_is_not_compiled_until_it_is_needed(
    compiled: list[str],
) -> None:
    population = CompiledModels(small())
    parameters = population.stack([small()]).requires_grad_()
    inputs = sequence(3).unsqueeze(1)
    with torch.no_grad():
        alone = population(parameters, inputs)
    assert compiled == ["_all_forward"]
    both = population(parameters, inputs)
    both.sum().backward()
    assert compiled == ["_all_forward", "_all_forward", "_all_backward"]
    assert_close(both.detach(), alone)


@pytest.mark.usefixtures("compiled")
def test_a_second_way_back_says_that_there_is_none() -> None:
    population = CompiledModels(small())
    parameters = population.stack([small()]).requires_grad_()
    once = population(parameters, sequence().unsqueeze(1)).sum()
    once.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match=r"^backward: the steps are gone after one"):
        once.backward()


@pytest.mark.parametrize("changed", ["parameters", "inputs"])
@pytest.mark.usefixtures("compiled")
def test_a_change_in_place_before_the_way_back_is_noticed(changed: str) -> None:
    population = CompiledModels(small())
    parameters = population.stack([small()]).requires_grad_()
    inputs = sequence().unsqueeze(1)
    loss = population(parameters, inputs).sum()
    with torch.no_grad():
        {"parameters": parameters, "inputs": inputs}[changed].add_(1)
    with pytest.raises(RuntimeError, match=r"modified (by an )?inplace"):
        loss.backward()


# Where there is no compiler, or it fails.


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin …"),
            r"PyTorch found no C\+\+ compiler: install one \(g\+\+\)",
        ),
        (
            ValueError("C++ compile error\n\nfatal error: Python.h: No such file"),
            r"the headers of Python are not there: install them \(python3-dev\)",
        ),
        (
            OSError("C++ compile error\n\na.cpp:3: error: no such thing\n"),
            "PyTorch's compiler failed: a.cpp:3: error: no such thing",
        ),
        (AssertionError(), "PyTorch's compiler failed: AssertionError"),
    ],
)
def test_whatever_goes_wrong_in_the_compiler_ends_in_one_line(
    failure: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor

    def fail(*arguments: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(torch._inductor, "compile", fail)
    population = stacked_models(small())
    parameters = population.stack([small()])
    without = "; or do without: --eager, compiled=False"
    with pytest.raises(CompilerError, match=f"^{message}{without}$") as caught:
        population(parameters, sequence().unsqueeze(1))
    assert "\n" not in str(caught.value)
