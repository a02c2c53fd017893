"""Look into the machines that predict n-grams: writes two tables into ``book/ngrams/``.

``diary.csv`` is of the reported seeds, in 256 locations, which hold all of a sequence;
``no-lean.csv`` of those that began without a lean, in 128, as they were trained.  A row
for each seed, of 64 sequences of 200 bits:

``on``: the share of the steps in which the write head moves on by one location;
``back``: in which it goes anywhere else, and does not stay. ``decided``: after how many
of the 32 contexts it moves nearly always or nearly never, in 95 of 100 steps.
``behind``: how many steps after a bit has been shown it is written, 0 for at once.
``look``: what share of the read weighting, from step 100 on, is on rows in which that
context was written, and ``blank``: on those in which none was, of the first steps and
not written yet.
``silent``: the λ for which the predictions are nearest to (N₁ − N₀) / (N₁ + N₀ + λ),
counted over the bits that are not written over yet.

Then the last row that was written after the same context is taken away in step 150.
``of``: in how many sequences there is one; ``toward``: in how many of them the
prediction moves to where the best one goes with that bit uncounted; ``moved`` and
``best_moved``: by how much, in the mean.

``lean.csv``, with ``--lean RUN …``: of development runs of short contexts that began
with a lean or without, what a seed costs ``above`` the optimum in the end, and ``on``
as above.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import torch
from table import save
from torch import Tensor

import ntm
from ntm.book.counts import machines
from ntm.runs.run import Run
from ntm.tasks import Batch, NGrams
from ntm.tasks.ngrams import contexts

BOOK = Path(__file__).parents[1]
TASK = NGrams()
SEQUENCES, STEP, SEED = 64, 150, 5
SETS = {"diary": ("ngrams-lstm", 256), "no-lean": ("ngrams-lstm-no-lean", 128)}
"""Of each table the machines, and how many locations they have."""


def window(locations: int) -> int:
    """Return how many bits back the rows are not written over yet."""
    return locations - 2


class Diary(NamedTuple):
    """Where a machine writes, ``(T, B)``, and after how many steps: see `diary`."""

    places: Tensor
    lag: int
    look: float
    blank: float


def counts(bits: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return N₀ and N₁ of each bit's context among the `window` bits before it."""
    context = contexts(bits)
    found = torch.zeros(2, *bits.shape)
    for step in range(TASK.context, len(bits)):
        before = slice(max(TASK.context, step - window), step)
        same = context[before] == context[step]
        for value in (0, 1):
            found[value, step] = (same & (bits[before] == value)).sum(dim=0)
    return found[0], found[1]


def diary(batch: Batch, trace: Any) -> Diary:
    """Return where the write head was, and how the read head looks at what it wrote.

    A bit is shown a step after it was due. The lag, from a bit that was due to the step
    in which it is written, is the one by which most of the look is explained.
    """
    context, read = contexts(batch.targets[..., 0]), trace.read.weighting[:, :, 0]
    places = trace.write.weighting[:, :, 0].argmax(dim=-1)
    looks, blanks = dict.fromkeys((1, 2, 3), 0.0), dict.fromkeys((1, 2, 3), 0.0)
    steps, sequences = places.shape
    each, rows = torch.arange(sequences), read.shape[-1]
    for lag in looks:
        # Which contexts each row holds: more than one, where the head has stayed.
        holds = torch.zeros(sequences, rows, 2**TASK.context, dtype=torch.bool)
        for step in range(TASK.context + lag, steps):
            at, before = places[step], places[step - 1]
            holds[each[at != before], at[at != before]] = False
            holds[each, at, context[step - lag]] = True
            if step >= 100:
                same = holds[each, :, context[step]]
                looks[lag] += float((read[step] * same).sum())
                blanks[lag] += float((read[step] * ~holds.any(dim=-1)).sum())
    lag, seen = max(looks, key=looks.__getitem__), sequences * (steps - 100)
    return Diary(places, lag, looks[lag] / seen, blanks[lag] / seen)


def silent(bits: Tensor, said: Tensor, back: int) -> float:
    """Return λ, in tenths."""
    n0, n1 = (n[TASK.context :] for n in counts(bits, back))
    votes = 2 * said[TASK.context :] - 1
    off = {
        tenths: float((votes - (n1 - n0) / (n0 + n1 + tenths / 10)).square().mean())
        for tenths in range(1, 40)
    }
    return min(off, key=off.__getitem__) / 10


def without_a_row(
    model: ntm.NTM, batch: Batch, found: Diary, locations: int
) -> dict[str, float]:
    """Return what taking away a row in step 150 does."""
    bits, back = batch.targets[..., 0], window(locations)
    context, (n0, n1) = contexts(bits), counts(bits, back)
    first = max(TASK.context, STEP - back)
    _, state = model(batch.inputs[:STEP], model.initial_state(SEQUENCES, locations))
    memory, chosen, best = state.memory.clone(), [], []
    for b in range(SEQUENCES):
        same = context[first : STEP - found.lag, b] == context[STEP, b]
        if not same.any():
            continue
        bit = first + int(same.nonzero()[-1])
        memory[b, found.places[bit + found.lag, b]] = model.initial_row
        zeros, ones, value = float(n0[STEP, b]), float(n1[STEP, b]), float(bits[bit, b])
        before = (ones + 0.5) / (ones + zeros + 1)
        after = (ones - value + 0.5) / (ones + zeros)
        chosen.append(b)
        best.append(after - before)
    said = [
        torch.sigmoid(model.step(batch.inputs[STEP], s)[0][chosen, 0])
        for s in (state, state._replace(memory=memory))
    ]
    moved, by_best = said[1] - said[0], torch.tensor(best)
    return {
        "of": len(chosen),
        "toward": int((moved.sign() == by_best.sign()).sum()),
        "moved": round(float(moved.abs().mean()), 3),
        "best_moved": round(float(by_best.abs().mean()), 3),
    }


def steps_on(places: Tensor, locations: int) -> tuple[Tensor, int]:
    """Return by how many locations a head moves in each step, and how it usually does.

    Of the moves the usual one is that most often made, staying aside.
    """
    half = locations // 2
    moves = (places.diff(dim=0) + half) % locations - half
    return moves, int(moves[moves != 0].mode().values)


def row(model: ntm.NTM, locations: int) -> dict[str, float]:
    """Return what a table has of a machine, the seed left out."""
    generator = torch.Generator().manual_seed(SEED)
    batch = TASK.batch(generator, SEQUENCES, TASK.length)
    state = model.initial_state(SEQUENCES, locations)
    logits, _, trace = model.trace(batch.inputs, state)
    found = diary(batch, trace)
    moves, usual = steps_on(found.places, locations)
    context, said = contexts(batch.targets[..., 0])[1:], torch.sigmoid(logits[..., 0])
    shares = [
        (moves[context == c] == usual).double().mean() for c in range(2**TASK.context)
    ]
    return {
        "on": round(float((moves == usual).double().mean()), 3),
        "back": round(float(((moves != usual) & (moves != 0)).double().mean()), 3),
        "decided": sum(1 for share in shares if not 0.05 < share < 0.95),
        "behind": found.lag - 1,
        "look": round(found.look, 3),
        "blank": round(found.blank, 3),
        "silent": silent(batch.targets[..., 0], said, window(locations)),
    } | without_a_row(model, batch, found, locations)


def leaning(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``lean.csv`` for a run."""
    run = Run.resume(folder, compiled=False)
    settings, task = run.training.settings, run.training.task
    locations = settings.memory_locations
    batch = task.batch(torch.Generator().manual_seed(SEED), SEQUENCES, *task.test_size)
    rows = []
    for last in run.curve[-len(settings.seeds) :]:
        model: Any = run.machine(last.seed)
        trace = model.trace(batch.inputs, model.initial_state(SEQUENCES, locations))[2]
        places = trace.write.weighting[:, :, 0].argmax(dim=-1)
        moves, usual = steps_on(places, locations)
        rows.append(
            {
                "forward_bias": settings.forward_bias,
                "gate_bias": settings.gate_bias,
                "seed": last.seed,
                "sequences": last.sequences,
                "above": round(last.excess, 3),
                "on": round(float((moves == usual).double().mean()), 3),
            }
        )
    return rows


@torch.no_grad()
def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lean", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.lean:
        save("ngrams/lean.csv", [each for run in options.lean for each in leaning(run)])
        return
    for name, (folder, locations) in SETS.items():
        seeds: Any = machines(BOOK / "machines" / folder)
        save(
            f"ngrams/{name}.csv",
            [{"seed": n} | row(model, locations) for n, model in seeds.items()],
        )


if __name__ == "__main__":
    main()
