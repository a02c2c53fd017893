"""How repeat copy is learned, stage by stage: ``write_repeat.py RUN … > stages.csv``.

The runs are the stages of one training, in their order.  Of each seed, with its
averaged parameters at the end of each stage: how many of 50 sequences are exact, how
many have each end marker in its place, and how many bits are wrong.
"""

import csv
import sys
from pathlib import Path

import torch
from torch import Tensor

from ntm.runs.run import Run
from ntm.tasks import Batch, Size, wrong_bits
from ntm.training.evaluation import fresh
from ntm.training.stacked import side_by_side, stacked_models
from ntm.training.trainer import Trainer

SIZES = [(10, 1), (10, 3), (10, 10)]
SEQUENCES, LOCATIONS, SEED = 50, 128, 4


def judged(logits: Tensor, batch: Batch) -> Tensor:
    """Return of each answer whether it is exact, whether its marker is, and wrong bits.

    Args:
        logits: ``(time, …, sequences, bits + 1)``.
        batch: of the same leading dimensions.

    Returns:
        Whole numbers, ``(3, …, sequences)``.
    """
    differ = (logits[..., -1] > 0) != (batch.targets[..., -1] > 0.5)
    marker = (differ * batch.mask).sum(dim=0) == 0
    wrong = wrong_bits(logits, batch).long()
    return torch.stack([(wrong == 0).long(), marker.long(), wrong])


def rows(training: Trainer, size: Size) -> list[list[int]]:
    """Return of each seed, with its averaged parameters, the sums of `judged`."""
    stacked = stacked_models(training.settings.make_model(0))
    has_memory = training.settings.model != "baseline"
    room = {"memory_locations": LOCATIONS} if has_memory else {}
    found = torch.zeros(3, len(training.ema), dtype=torch.int64)
    left = SEQUENCES
    for one in fresh(training.task, size, SEQUENCES, SEED, 8 * LOCATIONS):
        batch = side_by_side([one] * len(training.ema), training.device)
        with torch.no_grad():
            logits = stacked(training.ema, batch.inputs, **room)
        found += judged(logits, batch)[..., :left].sum(dim=-1)
        left -= one.inputs.shape[1]
    return found.T.tolist()


def main(folders: list[Path]) -> None:
    """Print a row for each stage, seed and size."""
    torch.set_num_threads(1)
    table = csv.writer(sys.stdout, lineterminator="\n")
    names = ("sequences", "exact", "marker_right", "wrong_bits")
    table.writerow(["stage", "seen", "seed", "length", "repeats", *names])
    seen = 0
    for stage, folder in enumerate(folders, 1):
        training = Run.resume(folder, compiled=False).training
        seen += training.sequences
        for size in SIZES:
            of_seeds = zip(training.settings.seeds, rows(training, size), strict=True)
            for seed, row in of_seeds:
                table.writerow([stage, seen, seed, *size, SEQUENCES, *row])


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
