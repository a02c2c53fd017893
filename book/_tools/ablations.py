"""Machines that lack a part: ``ablations.py train copy --model no-gate …``.

Takes the commands of ``python -m ntm`` for the kinds of machines below, each of which
is without its part when it learns and when it is judged.  ``ablations.py count DEVICE
RUN …`` prints, as a table, how every seed of these runs does at the sizes of the
protocol.
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from count import PUBLISHED, VECTORS
from torch import Tensor, nn

from ntm import cli
from ntm.heads import AddressParameters, HeadParameters, Heads
from ntm.machine import NTM, State, Weightings
from ntm.runs.run import Run
from ntm.training import settings
from ntm.training.evaluation import evaluate_seeds
from ntm.training.stacked import stacked_models

SIZES = [(10, 128), (20, 22), (20, 128), (50, 128), (120, 128), (500, 1024)]
COUNTED = ("sequences", "exact", "wrong_bits")


class Told(Heads):
    """Heads that are told something else than the controller says."""

    change: Callable[[AddressParameters], AddressParameters]

    def forward(self, controller_output: Tensor) -> HeadParameters:
        """Return what each head is told."""
        told = super().forward(controller_output)
        change = type(self).change
        return told._replace(write=change(told.write), read=change(told.read))


def told(change: Callable[[AddressParameters], AddressParameters]) -> type[NTM]:
    """Return a kind of machine whose heads are told what `change` makes of it."""
    kind = type("Changed", (Told,), {"change": staticmethod(change)})

    class Machine(NTM):
        def __init__(self, *sizes: Any, **options: Any):
            super().__init__(*sizes, **options)
            self.heads.__class__ = kind

    return Machine


def stay(kernel: Tensor) -> Tensor:
    """Return the kernel that leaves a head where it is."""
    at = torch.arange(kernel.shape[-1], device=kernel.device)
    middle = at == kernel.shape[-1] // 2
    return (0 * kernel) + middle.to(kernel)


class Uniform(NTM):
    """The first weightings are even, not on location 0."""

    def initial_state(
        self, batch_size: int | None = None, memory_locations: int | None = None
    ) -> State:
        """Return the state before the first step."""
        state = super().initial_state(batch_size, memory_locations)
        even = [torch.zeros_like(w) + 1 / w.shape[-1] for w in state.weightings]
        return state._replace(weightings=Weightings(*even))


class Rows(NTM):
    """Each location has a first row of its own, learned; 128 are the most."""

    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, **options)
        one, many = self.initial_row.detach(), torch.empty(128, self.memory_width)
        bound = float(self.memory_width) ** -0.5
        self.rows = nn.Parameter(nn.init.uniform_(many, -bound, bound).to(one))

    def initial_state(
        self, batch_size: int | None = None, memory_locations: int | None = None
    ) -> State:
        """Return the state before the first step."""
        state = super().initial_state(batch_size, memory_locations)
        own = self.rows[: state.memory.shape[-2]]
        return state._replace(memory=(0 * state.memory + own).mT.contiguous().mT)


KINDS = {
    "no-content": told(lambda told: told._replace(gate=0 * told.gate)),
    "no-gate": told(lambda told: told._replace(gate=0 * told.gate + 1)),
    "no-shift": told(lambda told: told._replace(kernel=stay(told.kernel))),
    "no-sharpening": told(lambda told: told._replace(exponent=0 * told.exponent + 1)),
    "uniform": Uniform,
    "rows": Rows,
}
"""The machines by what they lack."""


def count(folders: list[Path], device: str) -> None:
    """Print a row for each run, seed and size."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["run", "seed", "length", "locations", *COUNTED])
    for folder in folders:
        training = Run.resume(folder, device, compiled=False).training
        chosen, task = training.settings, training.task
        model = chosen.make_model(0).to(device)
        stacked = stacked_models(model, device == "cpu")
        for length, locations in SIZES:
            if chosen.model == "rows" and locations > 128:
                continue
            sequences = -(-VECTORS // length)
            found = evaluate_seeds(
                stacked, training.ema, task, (length,), sequences, PUBLISHED, locations
            )
            for seed, r in zip(chosen.seeds, found, strict=True):
                counted = [getattr(r, name) for name in COUNTED]
                table.writerow([folder.name, seed, length, locations, *counted])


def main() -> None:
    """Run a command, with these machines known to it."""
    for name, kind in KINDS.items():
        settings.register(name, kind)
    if sys.argv[1:2] == ["count"]:
        torch.set_num_threads(1)
        device, *folders = sys.argv[2:]
        count([Path(name) for name in folders], device)
    else:
        cli.main()


if __name__ == "__main__":
    main()
