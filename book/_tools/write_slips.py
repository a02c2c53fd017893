"""Where heads lose their place: ``write_slips.py NAME > book/machines/NAME/slips.csv``.

Every seed of ``book/machines/NAME`` gets again the sequences of 1,000 vectors that it
was counted on, with 1,024 locations: all of them if it made a mistake there, else the
first four.  One row a sequence says for both heads the first vector, of 60 answered, at
which it was not where it should be; in how many of the first 200 steps the read head
had more than a fifth of its weight on one row; and its weight on the row with which the
answer begins.  Where the heads should be is read off the same seed's copies of 120
vectors.  ``--lost SEED SEQUENCE`` prints the steps of the answer around such a vector
instead.
"""

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import count
import torch
from torch import Tensor, nn

from ntm import pretrained
from ntm.book.counts import counted
from ntm.machine import NTM
from ntm.tasks import Batch, Copy, wrong_bits

SHORT, LONG = (120, 128), (1000, 1024)
ANSWERED = 60
AROUND = 6
EARLY, FOCUSED = 200, 0.2
NAMES = [
    "seed",
    "sequence",
    "wrong_bits",
    "focused",
    "begin",
    "write_slip",
    "read_slip",
]


class Told(NamedTuple):
    """What one head did and was told, each ``(time, sequences)`` but for the kernel."""

    place: Tensor
    weighting: list[Tensor]
    kernel: Tensor
    exponent: Tensor
    gate: Tensor


def follow(
    machine: NTM, batch: Batch, length: int, locations: int
) -> tuple[Told, Told, Tensor]:
    """Return what the write head and the read head did, and the wrong bits so far."""
    last = min(2 * length + 1, length + 1 + ANSWERED)
    state = machine.initial_state(batch.inputs.shape[1], locations)
    # Row by row: three times as fast where nothing is compiled.
    state = state._replace(memory=state.memory.contiguous())
    outputs = []
    heads: tuple[list[Any], list[Any]] = ([], [])
    for x in batch.inputs[:last].unbind(0):
        logits, state, trace = machine._step(x, state)
        outputs.append(logits)
        for head, at, told in zip(
            heads,
            (trace.write, trace.read),
            (trace.params.write, trace.params.read),
            strict=True,
        ):
            weighting = at.weighting[:, 0]
            head.append(
                (
                    weighting.argmax(-1),
                    weighting,
                    told.kernel[:, 0],
                    told.exponent.view(-1),
                    told.gate.view(-1),
                )
            )
    shown = Batch(*(part[:last] for part in batch))
    wrong = wrong_bits(torch.stack(outputs), shown)
    write, read = (
        Told(torch.stack(p), list(w), *(torch.stack(x) for x in (k, e, g)))
        for p, w, k, e, g in (zip(*head, strict=True) for head in heads)
    )
    return write, read, wrong


def habits(machine: NTM, task: Copy) -> tuple[int, int]:
    """Return how the write head moves, and how many vectors ahead the reads are.

    As in most copies of 120 vectors.  They are one ahead if the first vector is read in
    the step of the delimiter, or if vectors are written one step late.
    """
    length, locations = SHORT
    write, read, _ = follow(machine, counted(task, *SHORT, count=10), length, locations)
    moves = ((write.place[1:length] - write.place[: length - 1]) % locations).flatten()
    (pace, _), *_ = Counter(moves.tolist()).most_common(1)
    apart = (read.place[length + 1 :] - write.place[1] + pace) % locations
    steps = torch.arange(len(apart)).unsqueeze(1)
    ahead = ((apart * pace) % locations - steps) % locations
    if pace not in (1, locations - 1):
        raise SystemExit(f"the write head moves by {pace}")
    (most, _), *_ = Counter(ahead.flatten().tolist()).most_common(1)
    return (1 if pace == 1 else -1), most if most < locations / 2 else most - locations


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name")
    parser.add_argument("--lost", type=int, nargs=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    folder: Path = count.MACHINES / options.name
    settings, parameters = count.load(folder)
    task, published = settings.make_task(), pretrained.trials(folder)
    assert isinstance(task, Copy)
    out = csv.writer(sys.stdout, lineterminator="\n")
    if not options.lost:
        out.writerow(NAMES)
    for row, seed in enumerate(settings.seeds):
        if options.lost and seed != options.lost[0]:
            continue
        machine = settings.make_model(0)
        assert isinstance(machine, NTM)
        nn.utils.vector_to_parameters(parameters[row], machine.parameters())
        (result,) = (r for r in published[seed] if r.where == LONG)
        many = result.sequences if result.wrong_bits else 4
        found = look(machine, task, many)
        if options.lost:
            lose(out, found, options.lost[1])
        else:
            out.writerows([seed, k, *slips(found, k)] for k in range(many))
        sys.stdout.flush()


class Followed(NamedTuple):
    """Where the heads were in copies of 1,000 vectors, and where they should be."""

    write: Told
    read: Told
    wrong: Tensor
    """Wrong bits of each sequence, in the vectors answered."""
    pace: int
    written: Tensor
    """``(length, sequences)``, the row that is due to each vector."""
    read_from: Tensor
    """``(ANSWERED, sequences)``, the row that is due in each step of the answer."""


def look(machine: NTM, task: Copy, many: int) -> Followed:
    """Return what the heads did in the first sequences that were counted."""
    length, locations = LONG
    pace, ahead = habits(machine, task)
    if ahead < 0:
        raise SystemExit(f"a machine reads {-ahead} late")
    batch = counted(task, *LONG, count=many)
    write, read, wrong = follow(machine, batch, length, locations)
    # From the second step on: some machines write one step late.
    written = write.place[1] + pace * torch.arange(-1, length - 1).unsqueeze(1)
    read_from = written[ahead : ahead + ANSWERED] % locations
    return Followed(write, read, wrong, pace, written % locations, read_from)


def slips(found: Followed, k: int) -> list[Any]:
    """Return a row of the table, without the seed and the number of the sequence."""
    length, _ = LONG
    late = []
    for head, start, due, first in (
        (found.write, 1, found.written[1:, k], 1),
        (found.read, length + 1, found.read_from[:, k], 0),
    ):
        away = (head.place[start:, k][: len(due)] != due).nonzero().flatten()
        late.append(int(away[0]) + first if len(away) else "")
    begin = weights_on(found.read, k, length + 1, found.read_from[:1, k]).item()
    largest = torch.stack([w[k].max() for w in found.read.weighting[:EARLY]])
    focused = int((largest > FOCUSED).sum())
    return [int(found.wrong[k]), focused, f"{begin:.4f}", *late]


def weights_on(head: Told, k: int, start: int, due: Tensor) -> Tensor:
    """Return a head's weights on the rows that are due, from a step on."""
    steps = head.weighting[start : start + len(due)]
    return torch.stack([w[k, row] for w, row in zip(steps, due, strict=True)])


def lose(out: Any, found: Followed, k: int) -> None:
    """Print the steps around the first in which a read head is not where it is due."""
    read, pace, start, due = found.read, found.pace, LONG[0] + 1, found.read_from[:, k]
    locations = read.weighting[0].shape[-1]
    first = int((read.place[start:, k][: len(due)] != due).nonzero()[0])
    out.writerow(
        ["vector", "move", "stay", "back", "exponent", "gate", "due", "behind"]
    )
    for vector in range(max(0, first - AROUND), first + AROUND):
        told = read.kernel[start + vector, k]
        move, stay, back = (told[1 + pace * by].item() for by in (1, 0, -1))
        weighting = read.weighting[start + vector][k]
        rows = due[vector], (due[vector] - pace) % locations
        numbers = [
            *(move, stay, back),
            read.exponent[start + vector, k].item(),
            read.gate[start + vector, k].item(),
            *(weighting[row].item() for row in rows),
        ]
        out.writerow([vector, *(f"{number:.6g}" for number in numbers)])


if __name__ == "__main__":
    main()
