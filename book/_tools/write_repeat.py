"""How repeat copy is learned, stage by stage: ``write_repeat.py RUN … > stages.csv``.

The runs are the stages of one training, in their order.  Of each seed, with its
averaged parameters at the end of each stage: how many of 50 sequences are exact, how
many have each end marker in its place, and how many bits are wrong.
"""

import csv
import sys
from pathlib import Path

import torch

from ntm.runs.run import Run
from ntm.tasks import wrong_bits
from ntm.training.evaluation import fresh
from ntm.training.stacked import side_by_side, stacked_models

SIZES = [(10, 1), (10, 3), (10, 10)]
SEQUENCES, LOCATIONS, SEED = 50, 128, 4


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
        stacked = stacked_models(training.settings.make_model(0))
        for size in SIZES:
            found = torch.zeros(3, len(training.ema), dtype=torch.int64)
            left = SEQUENCES
            for one in fresh(training.task, size, SEQUENCES, SEED, 8 * LOCATIONS):
                batch = side_by_side([one] * len(training.ema), training.device)
                with torch.no_grad():
                    logits = stacked(
                        training.ema, batch.inputs, memory_locations=LOCATIONS
                    )
                differ = (logits[..., -1] > 0) != (batch.targets[..., -1] > 0.5)
                marker = (differ * batch.mask).sum(dim=0) == 0
                wrong = wrong_bits(logits, batch)
                parts = (wrong == 0, marker, wrong)
                found += torch.stack([part[:, :left].sum(dim=1) for part in parts])
                left -= one.inputs.shape[1]
            for seed, row in zip(training.settings.seeds, found.T, strict=True):
                table.writerow([stage, seen, seed, *size, SEQUENCES, *row.tolist()])


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
