"""The parts that are functions: read, write, and the four stages of an address.

What is expected is worked out by hand.  A stage of the address is checked where no
later one has a say, not even one that is wrong: so the stage that is wrong is named.
"""

from types import ModuleType

import torch
from torch.nn.functional import softplus

from ntm import addressing
from ntm.book.rebuild.checks import Case, each, expect, part

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]]
COMPASS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
EAST, NORTH = COMPASS[:2]
OPEN, SHUT = 99.0, -99.0
STAY, ON, BACK = (-99.0, 99.0, -99.0), (-99.0, -99.0, 99.0), (99.0, -99.0, -99.0)


def at(*places: int, of: int = 4) -> list[list[float]]:
    """Return a weighting that is spread evenly over these places."""
    return [[(i in places) / len(places) for i in range(of)]]


def told(
    key: list[float],
    strength: float = 99,
    gate: float = SHUT,
    kernel: tuple[float, ...] = STAY,
    exponent: float = 0,
) -> list[list[float]]:
    """Return what a head is told, before anything is squashed."""
    return [[*key, strength, gate, *kernel, exponent]]


@part("Reading", "read", "Reading", "reading")
def reading(machine: ModuleType) -> None:
    """Write `read(memory, weighting)`: the rows, mixed as the weighting says.

    The memory is (batch, N, W), the weighting (batch, 1, N), the result (batch, 1, W).
    """
    cases: list[Case] = [
        ("All weight on row 2", (ROWS, at(2, of=3)), [[5.0, 8.0]]),
        ("½ on row 0, ¼ on rows 1 and 2", (ROWS, [[0.5, 0.25, 0.25]]), [[2.5, 4.0]]),
    ]
    each(machine.read, cases)


@part("Writing", "write", "Writing", "writing")
def writing(machine: ModuleType) -> None:
    """Write `write(memory, weighting, erase, add)`: erase first, then add.

    Both vectors are (batch, 1, W). Give a new memory, and leave the old one as it is.
    """
    all_on_1, half_on_0 = at(1, of=3), at(0, 1, of=3)
    cases: list[Case] = [
        (
            "All weight on row 1, erase all, add (7, 9)",
            (ROWS, all_on_1, [[1.0, 1.0]], [[7.0, 9.0]]),
            [[1.0, 2.0], [7.0, 9.0], [5.0, 8.0]],
        ),
        (
            "½ on rows 0 and 1, erase the first column, add nothing",
            (ROWS, half_on_0, [[1.0, 0.0]], [[0.0, 0.0]]),
            [[0.5, 2.0], [1.5, 4.0], [5.0, 8.0]],
        ),
        (
            "½ on rows 0 and 1, erase nothing, add (0, 2)",
            (ROWS, half_on_0, [[0.0, 0.0]], [[0.0, 2.0]]),
            [[1.0, 3.0], [3.0, 5.0], [5.0, 8.0]],
        ),
    ]
    each(machine.write, cases, "row")
    old, *how = (torch.tensor([x]) for x in cases[0][1])
    machine.write(old, *how)
    expect("The old memory, after a write", [ROWS], lambda: old, "", "row")


@part("Finding by content", "address", "Finding by content", "content")
def finding(machine: ModuleType) -> None:
    """Begin `address(memory, previous, told)`: for now, the weighting by content.

    `told`, (batch, 1, W + 6), holds one behind the other: a key (W numbers), a
    strength (1), a gate (1), a kernel (3), an exponent (1). They are as they come out
    of a linear layer; so the strength of the chapter, β, is softplus(strength).
    Stages that are there already are told to change nothing here.
    """
    near = [EAST, [0.985, 0.174], NORTH, [-1.0, 0.0]]
    long = [[1.0, 1.0], [9.0, -6.0], [-1.0, 0.0], [0.0, -1.0]]
    empty = [[0.0, 0.0], NORTH, [0.0, 0.0], [0.0, -1.0]]
    look = [
        ("The key is row 1", COMPASS, NORTH, 99, at(1)),
        ("The key points as row 0 does; row 1 is long", long, [2.0, 2.0], 99, at(0)),
        (
            "The key is row 0; row 1 is 10° beside it; strength 2000",
            near,
            EAST,
            2000,
            at(0),
        ),
        ("The key is row 1; rows 0 and 2 are zeros", empty, NORTH, 99, at(1)),
        ("The key is zeros", COMPASS, [0.0, 0.0], 99, at(0, 1, 2, 3)),
        (
            "The key is row 1, its strength softplus(−99) = 0",
            COMPASS,
            NORTH,
            -99,
            at(0, 1, 2, 3),
        ),
    ]
    # A gate has no say if what is found is where the head was, and an exponent has none
    # over weights that are alike.
    cases: list[Case] = [
        (sentence, (memory, found, told(key, strength, OPEN)), found)
        for sentence, memory, key, strength, found in look
    ]
    each(machine.address, cases)


@part("The gate", "address", "The interpolation gate", "interpolation")
def gate(machine: ModuleType) -> None:
    """Go on in `address`: g of what was found by content, 1 − g of `previous`.

    The g of the chapter is sigmoid(gate).
    """
    look = [
        ("open (99)", OPEN, at(0)),
        ("shut (−99)", SHUT, at(2)),
        ("half open (0)", 0.0, at(0, 2)),
    ]
    cases: list[Case] = [
        (
            f"The key is row 0, the head was at row 2, the gate is {how}",
            (COMPASS, at(2), told(EAST, gate=gate)),
            wanted,
        )
        for how, gate, wanted in look
    ]
    each(machine.address, cases)


@part("The shift", "address", "The convolutional shift", "shift")
def shift(machine: ModuleType) -> None:
    """Go on in `address`: shift by softmax(kernel), around the end of the memory.

    The three numbers of the kernel are for the offsets −1, 0 and 1, in this order.
    """
    look = [
        ("All mass at offset +1, from 1", ON, 1, at(2, of=5)),
        ("All mass at offset −1, from 1", BACK, 1, at(0, of=5)),
        ("All mass at offset +1, from the last of five", ON, 4, at(0, of=5)),
        ("All mass at offset −1, from 0", BACK, 0, at(4, of=5)),
        ("Half at 0, half at +1, from 1", (-99.0, 0.0, 0.0), 1, at(1, 2, of=5)),
    ]
    cases: list[Case] = [
        (
            sentence,
            ([*COMPASS, EAST], at(start, of=5), told(EAST, kernel=kernel)),
            wanted,
        )
        for sentence, kernel, start, wanted in look
    ]
    each(machine.address, cases)


@part("Sharpening", "address", "Sharpening", "sharpening")
def sharpening(machine: ModuleType) -> None:
    """Finish `address`: raise to a power, and divide by the sum.

    The power, γ in the chapter, is 1 + softplus(exponent).
    """
    before = [[0.75, 0.25, 0.0, 0.0]]
    look = [
        ("¾ and ¼, exponent −99: γ = 1", -99.0, before),
        ("¾ and ¼, exponent 0.5413: γ = 2", 0.5413, [[0.9, 0.1, 0.0, 0.0]]),
        ("¾ and ¼, exponent 99: γ = 100", 99.0, [[1.0, 0.0, 0.0, 0.0]]),
    ]
    cases: list[Case] = [
        (sentence, (COMPASS, before, told(EAST, exponent=exponent)), wanted)
        for sentence, exponent, wanted in look
    ]
    each(machine.address, cases)
    even, order = torch.full((1, 1, 128), 1 / 128), told(EAST, exponent=99)
    expect(
        "128 weights of 1/128, γ = 100: every power is below the smallest number",
        even,
        lambda: machine.address(torch.ones(1, 128, 2), even, torch.tensor([order])),
    )


@part("The head", "address", "The head", "head")
def head(machine: ModuleType) -> None:
    """Look at how `told` is squashed between the extremes; if right, write nothing.

    softplus(strength), sigmoid(gate), softmax(kernel), 1 + softplus(exponent).
    """
    spread = [[0.5, 0.3, 0.2, 0.0]]
    look = [
        ("Strength −1", told(EAST, -1, OPEN, STAY, -99), at(0)),
        ("Gate 1", told(EAST, 99, 1, STAY, -99), at(2)),
        ("Kernel (0, 1, 2)", told(EAST, 99, SHUT, (0, 1, 2), -99), at(2)),
        ("Exponent −1", told(EAST, 99, SHUT, STAY, -1), spread),
        (
            "Strength, gate and exponent 0, kernel (0, 1, 2)",
            told(EAST, 0, 0, (0, 1, 2)),
            spread,
        ),
    ]
    cases: list[Case] = []
    for sentence, order, previous in look:
        key, strength, g, kernel, exponent = torch.split(
            torch.tensor(order), [2, 1, 1, 3, 1], dim=-1
        )
        squashed = (
            softplus(strength),
            g.sigmoid(),
            kernel.softmax(-1),
            1 + softplus(exponent),
        )
        stages = addressing.address(
            torch.tensor(COMPASS), torch.tensor(previous), key, *squashed
        )
        cases.append((sentence, (COMPASS, previous, order), stages.sharpened.tolist()))
    each(machine.address, cases)
