"""How a write head loses a step: ``write_lost_step.py RUN SEED LENGTH LOCATIONS``.

Takes in the sequence of this length that the run's seeds were tried on, and prints a
table of the steps around the first in which the head stays behind: what it was told,
and its weight on the row that was due and on the one before it.
"""

import csv
import sys
from pathlib import Path

import torch

from ntm.machine import NTM
from ntm.runs.run import Run
from ntm.tasks import Copy

AROUND = 6


def main() -> None:
    """Print the table, or say that no step was lost."""
    folder, (seed, length, locations) = Path(sys.argv[1]), map(int, sys.argv[2:])
    machine = Run.resume(folder, compiled=False).machine(seed)
    assert isinstance(machine, NTM)
    sequence = Copy().batch(torch.Generator().manual_seed(0), 1, length)
    state = machine.initial_state(1, locations)
    told, weightings = [], []
    with torch.no_grad():
        for x in sequence.inputs[:length].split(1):
            _, state, trace = machine.trace(x, state)
            head = trace.params.write
            told.append([*head.kernel[0, 0, 0], head.exponent, head.gate])
            weightings.append(trace.write.weighting[0, 0, 0])
    places = torch.stack([weighting.argmax() for weighting in weightings])
    pace = (places[2] - places[1]).item()
    due = (places[1] + pace * torch.arange(-1, length - 1)) % locations
    late = [step for step in range(1, length) if places[step] != due[step]]
    if not late:
        raise SystemExit(f"{folder}: seed {seed} loses no step of {length}")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["step", "back", "stay", "on", "exponent", "gate", "due", "behind"])
    for step in range(late[0] - AROUND, late[0] + AROUND):
        rows = due[step], (due[step] - pace) % locations
        numbers = [*told[step], *(weightings[step][row] for row in rows)]
        table.writerow([step, *(f"{number.item():.6g}" for number in numbers)])


if __name__ == "__main__":
    main()
