"""The machine and the baseline: what every recurrent model of the package promises."""

import inspect
from collections.abc import Callable

import machines
import oracle
import pytest
import textbook
import torch
from machines import LOCATIONS, MODELS, SIZE, WIDTH, leaves, run, sequence, small
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.testing import assert_close

from ntm.baseline import Baseline
from ntm.controllers import LSTM
from ntm.machine import NTM

Make = Callable[[], nn.Module]
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
every_machine = pytest.mark.parametrize(
    "make",
    [make for name, make in MODELS.items() if name != "baseline"],
    ids=[name for name in MODELS if name != "baseline"],
)


def assert_same(ours: object, theirs: object, tolerance: float = 1e-12) -> None:
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        assert_close(a, b, rtol=tolerance, atol=tolerance)


# Independent transcriptions.


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("shift_range", [0, 1, 2])
def test_a_sequence_is_that_of_the_textbook(
    controller: str, heads: int, shift_range: int
) -> None:
    machine, inputs = small(controller, heads, shift_range), sequence()
    p = dict(machine.named_parameters())
    outputs, state = machine(inputs)
    theirs = textbook.initial_state(p, 2, LOCATIONS)
    for x, y in zip(inputs, outputs, strict=True):
        expected, theirs = textbook.step(p, x, theirs)
        assert_same(y, expected)
    memory, writing, reading, reads, carried = theirs
    assert_same(state.memory, memory)
    assert_same(state.weightings.write, torch.stack(writing, dim=1))
    assert_same(state.weightings.read, torch.stack(reading, dim=1))
    assert_same(state.reads, torch.stack(reads, dim=1))
    assert_same(state.controller, carried)


def test_memory_weightings_and_reads_are_those_of_plain_loops() -> None:
    """From what the controller told the heads, everything else follows by hand."""
    machine = small(num_heads=2)
    _, _, trace = machine.trace(sequence(batch=1))
    start = machine.initial_state(1)
    memory = start.memory[0].tolist()
    places = {"write": start.weightings.write[0], "read": start.weightings.read[0]}
    place = {kind: w.tolist() for kind, w in places.items()}

    def look(kind: str, t: int, head: int) -> list[float]:
        key, strength, gate, kernel, exponent = (
            part[t, 0, head].tolist() for part in getattr(trace.params, kind)
        )
        content = oracle.content_weighting(memory, key, *strength)
        gated = oracle.interpolate(content, place[kind][head], *gate)
        return oracle.sharpen(oracle.shift(gated, kernel), *exponent)

    for t in range(6):
        erases, adds = (part[t, 0].tolist() for part in trace.params.change)
        place["write"] = [look("write", t, head) for head in range(2)]
        for w, e in zip(place["write"], erases, strict=True):
            memory = oracle.erase(memory, w, e)
        for w, a in zip(place["write"], adds, strict=True):
            memory = oracle.add(memory, w, a)
        place["read"] = [look("read", t, head) for head in range(2)]
        reads = [oracle.read(memory, w) for w in place["read"]]
        for ours, theirs in [
            (trace.memory, memory),
            (trace.write.weighting, place["write"]),
            (trace.read.weighting, place["read"]),
            (trace.reads, reads),
        ]:
            assert_same(ours[t, 0], torch.tensor(theirs, dtype=torch.float64))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_lstm_computes_what_pytorchs_own_does(layers: int) -> None:
    """PyTorch orders its gates i, f, g, o; ours are i, f, o, g."""
    ours = machines.restless(LSTM(4, SIZE, layers)).double()
    theirs = nn.LSTM(4, SIZE, layers, dtype=torch.float64)

    def reorder(rows: Tensor) -> Tensor:
        i, f, o, g = rows.chunk(4)
        return torch.cat([i, f, g, o])

    for layer, gates in enumerate(ours.gates):
        below = gates.weight.shape[1] - SIZE
        w = reorder(gates.weight.detach())
        with torch.no_grad():
            getattr(theirs, f"weight_ih_l{layer}").copy_(w[:, :below])
            getattr(theirs, f"weight_hh_l{layer}").copy_(w[:, below:])
            getattr(theirs, f"bias_ih_l{layer}").copy_(reorder(gates.bias.detach()))
            getattr(theirs, f"bias_hh_l{layer}").zero_()
    inputs = torch.randn(5, 2, 4, dtype=torch.float64)
    state = ours.initial_state(2)
    outputs = []
    start = tuple(torch.stack(state[k::2]).contiguous() for k in range(2))
    for x in inputs:
        y, state = ours(x, state)
        outputs.append(y)
    expected, (hidden, cell) = theirs(inputs, start)
    assert_same(torch.stack(outputs), expected)
    assert_same(torch.stack(state[::2]), hidden)
    assert_same(torch.stack(state[1::2]), cell)


# State goes in and comes out.


@every_model
def test_a_sequence_is_its_steps_one_after_the_other(make: Make) -> None:
    model, inputs = make(), sequence()
    outputs, last = model(inputs)
    state = model.initial_state(2)
    for x, y in zip(inputs, outputs, strict=True):
        ours, state = model.step(x, state)
        assert_same(ours, y)
    assert_same(state, last)


@every_model
def test_a_sequence_cut_in_two_goes_on_where_it_stopped(make: Make) -> None:
    model, inputs = make(), sequence()
    whole, last = model(inputs)
    first, between = model(inputs[:4])
    model(sequence(time=3))  # something else in between leaves no trace
    second, end = model(inputs[4:], between)
    assert_same(torch.cat([first, second]), whole)
    assert_same(end, last)


@every_model
def test_no_state_is_kept_or_changed_in_the_model(make: Make) -> None:
    model, inputs = make(), sequence()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    state = model.initial_state(2)
    copies = [t.clone() for t in leaves(state)]
    first, second = model(inputs, state)[0], model(inputs, state)[0]
    assert_same(first, second, tolerance=0)
    assert_same(state, copies, tolerance=0)
    assert_same(model.state_dict(), before, tolerance=0)
    assert not list(model.buffers())


@every_model
def test_sequences_of_a_batch_do_not_see_each_other(make: Make) -> None:
    model, inputs = make(), sequence(batch=3)
    together, _ = model(inputs)
    for k in range(3):
        assert_same(together[:, k : k + 1], model(inputs[:, k : k + 1])[0])


@every_machine
def test_a_trace_changes_nothing_and_ends_where_the_state_is(make: Make) -> None:
    model, inputs = make(), sequence()
    outputs, state = model(inputs)
    traced, end, trace = model.trace(inputs)
    assert_same((traced, end), (outputs, state), tolerance=0)
    assert all(t.shape[:2] == (6, 2) for t in leaves(trace))
    assert_same(trace.memory[-1], state.memory)
    assert_same(trace.reads[-1], state.reads)
    assert_same(trace.write.weighting[-1], state.weightings.write)
    assert_same(trace.read.weighting[-1], state.weightings.read)


# How a machine begins.


@every_machine
def test_every_location_begins_with_the_same_learned_row(make: Make) -> None:
    machine = make()
    memory = machine.initial_state(2, memory_locations=9).memory
    assert memory.shape == (2, 9, WIDTH)
    assert_same(memory, machine.initial_row.expand(2, 9, WIDTH))
    assert memory.requires_grad


@every_machine
def test_every_head_begins_at_location_0_with_all_its_weight(make: Make) -> None:
    """All zeros is no weighting, and a uniform one over equal rows breaks no tie."""
    for weighting in make().initial_state(2).weightings:
        assert weighting.unique().tolist() == [0, 1]
        assert (weighting.argmax(dim=-1) == 0).all()
        assert (weighting.sum(dim=-1) == 1).all()


@every_machine
def test_the_first_write_tells_locations_apart(make: Make) -> None:
    """They begin alike; if they stayed alike, nothing could ever be stored."""
    _, _, trace = make().trace(sequence(time=1))
    rows = trace.memory[0, 0]
    assert not torch.allclose(rows[0], rows[LOCATIONS // 2])


@every_model
def test_everything_a_machine_learns_gets_a_gradient(make: Make) -> None:
    model = make()
    model(sequence())[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
        assert parameter.grad.isfinite().all(), name


def test_a_machine_that_was_never_trained_has_finite_gradients() -> None:
    """Rows and reads as they are first made, with no luck of large numbers."""
    for controller in ("lstm", "feedforward"):
        machine = NTM(9, 8, controller)
        machine(torch.zeros(3, 1, 9))[0].sum().backward()
        assert all(
            p.grad.isfinite().all() for p in machine.parameters() if p.grad is not None
        )


# The memory's size is free.


@every_machine
def test_no_parameter_depends_on_the_number_of_locations(make: Make) -> None:
    machine = make()
    assert all(LOCATIONS not in p.shape for p in machine.parameters())
    state = machine.initial_state(2, memory_locations=300)
    outputs, end = machine(sequence(), state)
    assert outputs.shape == (6, 2, machines.OUTPUTS)
    assert end.memory.shape == (2, 300, WIDTH)


def test_the_parameters_have_these_names_and_shapes() -> None:
    """Weight files depend on them."""
    shapes = {n: tuple(p.shape) for n, p in NTM(9, 8).named_parameters()}
    assert shapes == {
        "initial_row": (20,),
        "initial_reads": (1, 20),
        "controller.initial_hidden": (1, 100),
        "controller.initial_cell": (1, 100),
        "controller.gates.0.weight": (400, 9 + 20 + 100),
        "controller.gates.0.bias": (400,),
        "heads.linear.weight": (26 + 26 + 40, 100),
        "heads.linear.bias": (92,),
        "output.weight": (8, 120),
        "output.bias": (8,),
    }
    others = {n for n, _ in NTM(9, 8, "feedforward").named_parameters()}
    assert others - set(shapes) == {
        "controller.hidden.weight",
        "controller.hidden.bias",
    }


def test_the_constructor_takes_what_the_design_says() -> None:
    defaults = {
        name: p.default for name, p in inspect.signature(NTM).parameters.items()
    }
    assert list(defaults)[:2] == ["input_size", "output_size"]
    assert dict(list(defaults.items())[2:]) == {
        "controller": "lstm",
        "controller_size": 100,
        "memory_locations": 128,
        "memory_width": 20,
        "num_heads": 1,
        "shift_range": 1,
        "device": None,
        "dtype": None,
    }


# Types, transforms, compilation.


@every_model
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.3)], ids=str
)
def test_it_runs_in_other_types(
    make: Make, dtype: torch.dtype, tolerance: float
) -> None:
    model, inputs = make(), sequence(time=3)
    expected, _ = model(inputs)
    outputs, state = model.to(dtype)(inputs.to(dtype))
    assert all(t.dtype == dtype for t in [outputs, *leaves(state)])
    assert_close(outputs.double(), expected, rtol=tolerance, atol=tolerance)
    outputs.float().sum().backward()


@every_model
def test_vmap_over_stacked_parameters_is_a_loop_over_models(make: Make) -> None:
    models = [make() for _ in range(3)]
    stacked, _ = stack_module_state(models)
    inputs = torch.stack([sequence() for _ in models])
    together = vmap(lambda p, x: functional_call(models[0], p, (x,)))(stacked, inputs)
    for k, model in enumerate(models):
        assert_same([t[k] for t in leaves(together)], leaves(model(inputs[k])))


@every_model
def test_compiled_a_step_gives_the_same_numbers_and_gradients(make: Make) -> None:
    """All but the code for a processor, which `test_compiler` makes of a whole machine."""
    torch.compiler.reset()
    model, x = make(), sequence()[0]
    compiled = torch.compile(model.step, backend="aot_eager", fullgraph=True)
    results = []
    for step in (model.step, compiled):
        result = leaves(step(x, model.initial_state(2)))
        loss = sum(t.square().sum() for t in result)
        results.append((result, torch.autograd.grad(loss, list(model.parameters()))))
    assert_same(results[1], results[0], tolerance=1e-9)


@pytest.mark.parametrize("make", [MODELS["lstm"], MODELS["feedforward"]])
def test_gradients_are_those_of_finite_differences(make: Make) -> None:
    model, inputs = make(), sequence(time=3, batch=1)
    names = [name for name, _ in model.named_parameters()]

    def outputs(*parameters: Tensor) -> Tensor:
        return run(model, dict(zip(names, parameters, strict=True)), inputs)

    assert torch.autograd.gradcheck(outputs, tuple(model.parameters()), fast_mode=True)


# What a person is told who asks for the impossible.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory_locations": 0}, "memory_locations: got 0, needs at least 1"),
        ({"memory_width": -1}, "memory_width: got -1, needs at least 1"),
        ({"num_heads": 0}, "num_heads: got 0, needs at least 1"),
        ({"controller_size": 0}, "controller_size: got 0, needs at least 1"),
        ({"shift_range": -1}, "shift_range: got -1, needs at least 0"),
        (
            {"shift_range": 2, "memory_locations": 4},
            "memory_locations: got 4, needs at least 5 for shifts from −2 to 2",
        ),
        (
            {"controller": "gru"},
            'controller: got "gru", needs "feedforward" or "lstm"',
        ),
    ],
)
def test_an_impossible_machine_is_refused(
    settings: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        NTM(9, 8, **settings)


@pytest.mark.parametrize("number", [1.5, "10", True, None])
def test_sizes_are_whole_numbers(number: object) -> None:
    with pytest.raises(TypeError, match=r"^num_heads: got .*, needs a whole number"):
        NTM(9, 8, num_heads=number)
    with pytest.raises(TypeError, match=r"^layers: got .*, needs a whole number"):
        Baseline(9, 8, layers=number)


@every_model
def test_inputs_of_the_wrong_kind_are_refused(make: Make) -> None:
    model = make()
    for shape in [(6, 2, 4), (6, 2), (0, 2, 3), (6, 0, 3), (0, 3), (3,), (1, 6, 2, 3)]:
        with pytest.raises(ValueError, match=r"^inputs: got shape .*, needs \(time, "):
            model(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"^inputs: got torch\.int64, needs a floating"):
        model(torch.zeros(6, 2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^batch_size: got 0, needs at least 1"):
        model.initial_state(0)


@every_machine
def test_a_state_of_another_batch_and_a_memory_too_small_are_refused(
    make: Make,
) -> None:
    machine = make()
    with pytest.raises(ValueError, match=r"^state\.memory: got .*\(3, 11, 4\), needs"):
        machine(sequence(batch=2), machine.initial_state(3))
    with pytest.raises(ValueError, match=r"^memory_locations: got 2, needs at least"):
        machine.initial_state(1, memory_locations=2)


def test_the_baseline_refuses_a_state_of_another_batch() -> None:
    model = machines.small_baseline()
    with pytest.raises(ValueError, match=r"^state\[0\]: got .*\(3, 5\), needs"):
        model(sequence(batch=2), model.initial_state(3))
