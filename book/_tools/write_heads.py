"""What write heads do while they answer: ``write_heads.py RUN… > heads.csv``.

One row a run and seed: in which share of the steps of an answer of 120 vectors the
write head goes on as it went while it wrote, and which share of the sequences of 120
that the seed was tried on came out wrong.
"""

import csv
import sys
from pathlib import Path

import torch

from ntm.machine import NTM
from ntm.runs import files, tables
from ntm.runs.run import Run
from ntm.tasks import Copy

LENGTH, ROOM = 120, 128


def goes_on(machine: NTM) -> float:
    """Return the share of steps in which the write head moves as while it wrote."""
    sequence = Copy().batch(torch.Generator().manual_seed(3), 1, LENGTH)
    with torch.no_grad():
        trace = machine.trace(sequence.inputs, machine.initial_state(1, ROOM))[2]
    place = trace.write.weighting[:, 0, 0].argmax(-1)
    moved = (place[1:] - place[:-1]) % ROOM
    usual = moved[: LENGTH - 1].mode().values
    return (moved[LENGTH + 1 :] == usual).double().mean().item()


def main() -> None:
    """Print a table of all seeds of all runs."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["run", "seed", "goes_on", "wrong"])
    for folder in map(Path, sys.argv[1:]):
        run = Run.resume(folder, compiled=False)
        for seed, results in tables.read_trials(folder / files.TRIALS).items():
            (tried,) = [r for r in results if r.where == (LENGTH, ROOM)]
            wrong = 1 - tried.exact / tried.sequences
            machine = run.machine(seed)
            assert isinstance(machine, NTM)
            rows.writerow(
                [folder.name, seed, f"{goes_on(machine):.3f}", f"{wrong:.3f}"]
            )


if __name__ == "__main__":
    main()
