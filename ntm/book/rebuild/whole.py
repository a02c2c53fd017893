"""The parts that make a machine of the functions: its layers, its steps, its learning.

What is expected is what `ntm.NTM` gives with the same weights.
"""

import copy
import time
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

import ntm
from ntm.book.rebuild.checks import WrongError, expect, kind, part, row
from ntm.book.rebuild.mechanics import at, told
from ntm.machine import State, Weightings

MACHINE = "The controller and the whole machine", "machine"
INPUTS, OUTPUTS, SIZE, WIDTH, LOCATIONS = 3, 2, 6, 4, 5  # none fits another's place
LAYERS = "controller", "heads", "output"
NAMES = ["first_row", "first_read"]
NAMES += [f"{layer}.{of}" for layer in LAYERS for of in ("weight", "bias")]
LONGEST, UPDATES, SEEDS = 5, 1000, 3  # of the training at the end


def machines(machine: ModuleType) -> tuple[Any, ntm.NTM]:
    """Return a machine of the file and one of the package, with the same weights."""
    torch.manual_seed(0)
    theirs = ntm.NTM(INPUTS, OUTPUTS, "feedforward", SIZE, LOCATIONS, WIDTH).double()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.7)
    mine = machine.NTM(INPUTS, OUTPUTS, SIZE, WIDTH).double()
    values = theirs.state_dict().values()
    mine.load_state_dict(dict(zip(NAMES, values, strict=True)))
    return mine, theirs


@part("The layers", "NTM", *MACHINE)
def layers(machine: ModuleType) -> None:
    """Begin `class NTM(nn.Module)` with `__init__(self, inputs, outputs, size, width)`.

    `width` is W. Make three linear layers. `controller`: from the inputs and the W
    numbers that were read to size. `heads`: from size to all that the heads are told,
    which is where to write (W + 6), what to erase (W), what to add (W), where to read
    (W + 6). `output`: from size and the W numbers that are read to the outputs. And two
    parameters to begin with: `first_row` (W), a row of memory, and `first_read` (1, W).
    """
    theirs = ntm.NTM(INPUTS, OUTPUTS, "feedforward", SIZE, LOCATIONS, WIDTH)
    made = f"NTM({INPUTS}, {OUTPUTS}, {SIZE}, {WIDTH})"
    mine = machine.NTM(INPUTS, OUTPUTS, SIZE, WIDTH).state_dict()
    for name, wanted in zip(NAMES, theirs.state_dict().values(), strict=True):
        got = mine.pop(name, None)
        if kind(got) != kind(wanted):
            kinds = f"expected {kind(wanted)}, got {kind(got)}"
            raise WrongError(f"{made}, {name}:\n{kinds}")
        if not got.isfinite().all():
            raise WrongError(f"{made}, {name}:\nexpected numbers, got {row(got)}")
    if mine:
        raise WrongError(f"{made}:\nexpected no other parameter, got {', '.join(mine)}")


@part("The first state", "NTM.start", *MACHINE)
def first_state(machine: ModuleType) -> None:
    """Write `start(self, batch, locations)`: the state before the first step.

    It is a tuple: the memory (batch, N, W), of which every row is `first_row`; the
    weightings of the write head and of the read head, both at location 0; and
    `first_read` for each of the batch. All have the type and the device of `first_row`.
    """
    mine, theirs = machines(machine)
    elsewhere = copy.deepcopy(mine).to("meta")
    first = theirs.initial_state(2, LOCATIONS)
    for i, (sentence, wanted) in enumerate(
        (
            ("The memory at first", first.memory),
            ("The write head's weighting at first", first.weightings.write),
            ("The read head's weighting at first", first.weightings.read),
            ("What was read before the first step", first.reads),
        )
    ):
        get = partial(lambda i: mine.start(2, LOCATIONS)[i], i)
        expect(sentence, wanted.detach(), get, "sequence", "row")
        device = elsewhere.start(2, LOCATIONS)[i].device
        if device.type != "meta":
            where = f"expected it there, got it on the {device}"
            raise WrongError(f"{sentence}, of a machine on another device:\n{where}")


@part("A step", "NTM.step", *MACHINE)
@torch.no_grad()
def step(machine: ModuleType) -> None:
    """Write `step(self, x, state)`: the answer and the next state.

    `x` is (batch, 1, inputs), and so a row, as is the answer. The controller is the
    tanh of its layer, of x and then what was read. Write, with sigmoid(erase), and with
    add as it is; then read from the memory as it now is. The answer is the output
    layer, of the controller and then what was just read, and nothing squashes it.
    """
    mine, theirs = machines(machine)
    x = torch.randn(2, INPUTS).double()
    memory = torch.randn(2, LOCATIONS, WIDTH).double()
    wrote, looked = torch.randn(2, 2, 1, LOCATIONS).double().softmax(-1)
    r = torch.randn(2, 1, WIDTH).double()
    before = State(memory, Weightings(wrote, looked), r, ())
    answer, _, trace = theirs.trace(x.unsqueeze(0), before)
    hidden, _ = theirs.controller(torch.cat([x, r.squeeze(1)], dim=-1), ())

    def stepped(mine: Any, i: int) -> Any:
        gives = mine.step(x.unsqueeze(1), (memory, wrote, looked, r))
        if not isinstance(gives, tuple) or [len(gives), len(gives[1])] != [2, 4]:
            raise TypeError("step gives no tuple of an answer and a state of four")
        return (*gives[1], gives[0])[i]

    shows = copy.deepcopy(mine)
    shows.output = nn.Linear(SIZE + WIDTH, SIZE, bias=False).double()
    shows.output.weight.copy_(torch.eye(SIZE, SIZE + WIDTH))
    for sentence, wanted, some, i in (
        ("The controller, shown by an output layer of 0 and 1", hidden, shows, -1),
        (
            "The write head's weighting, from its own before",
            trace.write.weighting[0],
            mine,
            1,
        ),
        ("The memory after the write", trace.memory[0], mine, 0),
        (
            "The read head's weighting, from its own before, over the new memory",
            trace.read.weighting[0],
            mine,
            2,
        ),
        ("What is read from the new memory", trace.reads[0], mine, 3),
        ("The answer, from the controller and what was just read", answer[0], mine, -1),
    ):
        wanted = wanted.unsqueeze(1) if wanted.dim() == 2 else wanted
        expect(sentence, wanted, partial(stepped, some, i), "sequence", "row")


@part("A sequence", "NTM.forward", "The whole machine in one file", "minimal")
@torch.no_grad()
def sequence(machine: ModuleType) -> None:
    """Write `forward(self, inputs, locations)`: the answers of all steps.

    Inputs (time, batch, inputs) give answers (time, batch, outputs).
    """
    mine, theirs = machines(machine)
    inputs = torch.randn(5, 2, INPUTS).double()
    for sentence, locations in (
        ("The answers to 5 steps", LOCATIONS),
        ("The same once more: nothing stays in the machine", LOCATIONS),
        ("The same machine with more locations", LOCATIONS + 4),
    ):
        wanted, _ = theirs(inputs, theirs.initial_state(2, locations))
        expect(sentence, wanted, partial(mine, inputs, locations), "step", "sequence")


@part("The gradients", "NTM.forward", "Training", "training")
def gradients(machine: ModuleType) -> None:
    """Look whether gradients find their way; if they do, write nothing."""
    memory = torch.zeros(1, 5, 2, requires_grad=True)
    order = torch.tensor([told([0.0, 0.0], 1, -999, (0, 999, 0), 500)])
    order.requires_grad = True
    weighting = machine.address(memory, torch.tensor([at(1, of=5)]), order)
    slopes = torch.autograd.grad(weighting[..., 2].sum(), (memory, order))
    named = "the rows of an empty memory", "what a head on a single location is told"
    for what, slope in zip(named, slopes, strict=True):
        get = partial(torch.nan_to_num, slope)
        expect(f"The slopes of {what}", get(), partial(torch.clone, slope), "", "row")
    mine, _ = machines(machine)
    inputs = torch.randn(4, 2, INPUTS).double()
    parameters = dict(mine.named_parameters())

    def loss(name: str, moved: Tensor) -> Any:
        moved_one = {**parameters, name: moved}
        return functional_call(mine, moved_one, (inputs, LOCATIONS)).square().sum()

    for name, parameter in parameters.items():
        by = torch.randn_like(parameter) * 1e-6
        there, back = (loss(name, parameter + sign * by) for sign in (1, -1))
        (slope,) = torch.autograd.grad(
            loss(name, parameter), parameter, allow_unused=True, materialize_grads=True
        )
        expect(
            f"The slope of a loss along one direction of {name}",
            ((there - back) / 2e-6).detach().reshape(1),
            partial(torch.Tensor.reshape, (slope * by).sum() / 1e-6, 1),
        )


@part("The task", "copy", "Training", "training")
def task(machine: ModuleType) -> None:
    """Write `copy(batch, length)`: the inputs, and the vectors that are to come out.

    The vectors are (length, batch, 8), each number 0 or 1 by chance. The inputs are
    (2 length + 1, batch, 9): the vectors, then a 1 on the ninth channel alone, and then
    zeros while the machine answers.
    """
    shape = torch.zeros(3, 4, 8)
    expect("copy(4, 3), the vectors", shape, lambda: machine.copy(4, 3)[1] * 0)
    inputs, vectors = machine.copy(4, 3)
    bits = (vectors > 0.5).float()
    expect("copy(4, 3), the vectors", bits, lambda: vectors, "step", "sequence")
    wanted = torch.zeros(7, 4, 9)
    wanted[:3, :, :8] = vectors
    wanted[3, :, 8] = 1
    expect("copy(4, 3), the inputs", wanted, lambda: inputs, "step", "sequence")
    _, vectors = machine.copy(4, 30)
    _, others = machine.copy(4, 30)
    for what, one, two in (
        ("call", vectors, others),
        ("step", vectors[0], vectors[1]),
        ("sequence", vectors[:, 0], vectors[:, 1]),
    ):
        if torch.equal(one, two):
            raise WrongError(
                f"The vectors of another {what}:\nexpected others, got the same"
            )
    ones = vectors.mean().item()
    if not 0.4 < ones < 0.6:
        raise WrongError(
            f"The vectors:\nexpected half of the bits to be 1, got {ones:.0%}"
        )


def wrong_bits(machine: ModuleType, mine: Any, length: int, locations: int) -> int:
    """Return how many bits are wrong in 100 sequences: of 800 for each vector."""
    inputs, vectors = machine.copy(100, length)
    with torch.no_grad():
        answer = mine(inputs, locations)[-length:]
    return int(((answer > 0) != (vectors > 0.5)).sum())


@part("Copying", "copy", "What makes it learn", "recipe")
def copying(machine: ModuleType) -> None:
    """Watch how it learns to copy; there is nothing to write."""
    torch.set_num_threads(1)  # tensors this small would wait for a second
    lengths, bits = range(1, LONGEST + 1), 400 * LONGEST * (LONGEST + 1)
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        print(f"Training, seed {seed}: 8 sequences of 1 to {LONGEST} vectors an update")
        mine, began = machine.NTM(9, 8, 100, 20), time.monotonic()
        optimizer, solved = torch.optim.Adam(mine.parameters(), lr=5e-3), False
        for update in range(1, UPDATES + 1):
            length = int(torch.randint(1, LONGEST + 1, ()))
            inputs, vectors = machine.copy(8, length)
            answer = mine(inputs, 16)[-length:]
            loss = binary_cross_entropy_with_logits(answer, vectors)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
            optimizer.step()
            if update % 50:
                continue
            wrong = sum(wrong_bits(machine, mine, length, 16) for length in lengths)
            print(f"{update:5} updates: {wrong:5} of {bits} bits wrong", flush=True)
            if solved and not wrong:  # twice in a row
                seconds = time.monotonic() - began
                farther = wrong_bits(machine, mine, 20, 128) / 16_000
                print(f"It copies, after {seconds:.0f} seconds;")
                print(
                    f"of 20 vectors, which it never met, {farther:.1%} of bits wrong."
                )
                return
            solved = not wrong
    raise WrongError(
        f"{SEEDS} trainings of {UPDATES} updates (how do the parameters begin?):\n"
        f"expected 0 of {bits} bits wrong, got {wrong}"
    )
