"""Look into the machines that predict n-grams: writes ``book/ngrams/diary.csv``.

A row for each reported seed, of 64 sequences of 200 bits in 128 locations:

``on``: the share of the steps in which the write head moves on by one location;
``back``: in which it goes anywhere else, and does not stay. ``decided``: after how many
of the 32 contexts it moves nearly always or nearly never, in 95 of 100 steps.
``behind``: how many steps after a bit has been shown it is written, 0 for at once.
``look``: what share of the read weighting, from step 100 on, is on rows in which that
context was written.
``silent``: the λ for which the predictions are nearest to (N₁ − N₀) / (N₁ + N₀ + λ),
counted over the last 126 bits.

Then the last row that was written after the same context is taken away in step 150.
``of``: in how many sequences there is one; ``toward``: in how many of them the
prediction moves to where the best one goes with that bit uncounted; ``moved`` and
``best_moved``: by how much, in the mean.
"""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import ntm
from ntm.book.counts import machines
from ntm.tasks import Batch, NGrams
from ntm.tasks.ngrams import contexts

BOOK = Path(__file__).parents[1]
TASK = NGrams()
SEQUENCES, LOCATIONS, STEP, SEED = 64, 128, 150, 5
WINDOW = 126  # as far back as rows are not written over yet


class Diary(NamedTuple):
    """Where a machine writes, ``(T, B)``, and after how many steps: see `diary`."""

    places: Tensor
    lag: int
    look: float


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
    looks = dict.fromkeys((1, 2, 3), 0.0)
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
    looks = {lag: seen / sequences / (steps - 100) for lag, seen in looks.items()}
    lag = max(looks, key=looks.__getitem__)
    return Diary(places, lag, looks[lag])


def silent(bits: Tensor, said: Tensor) -> float:
    """Return λ, in tenths."""
    n0, n1 = (n[TASK.context :] for n in counts(bits, WINDOW))
    votes = 2 * said[TASK.context :] - 1
    off = {
        tenths: float((votes - (n1 - n0) / (n0 + n1 + tenths / 10)).square().mean())
        for tenths in range(1, 40)
    }
    return min(off, key=off.__getitem__) / 10


def without_a_row(model: ntm.NTM, batch: Batch, found: Diary) -> dict[str, float]:
    """Return what taking away a row in step 150 does."""
    bits = batch.targets[..., 0]
    context, (n0, n1) = contexts(bits), counts(bits, WINDOW)
    _, state = model(batch.inputs[:STEP], model.initial_state(SEQUENCES, LOCATIONS))
    memory, chosen, best = state.memory.clone(), [], []
    for b in range(SEQUENCES):
        same = context[STEP - WINDOW : STEP - found.lag, b] == context[STEP, b]
        if not same.any():
            continue
        bit = STEP - WINDOW + int(same.nonzero()[-1])
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


def row(model: ntm.NTM) -> dict[str, float]:
    """Return what ``diary.csv`` has of a machine, the seed left out."""
    generator = torch.Generator().manual_seed(SEED)
    batch = TASK.batch(generator, SEQUENCES, TASK.length)
    state = model.initial_state(SEQUENCES, LOCATIONS)
    logits, _, trace = model.trace(batch.inputs, state)
    found = diary(batch, trace)
    half = LOCATIONS // 2
    moves = (found.places.diff(dim=0) + half) % LOCATIONS - half
    usual = int(moves[moves != 0].mode().values)
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
        "silent": silent(batch.targets[..., 0], said),
    } | without_a_row(model, batch, found)


@torch.no_grad()
def main() -> None:
    """Write the table."""
    torch.set_num_threads(1)
    seeds: Any = machines(BOOK / "machines" / "ngrams-lstm")
    rows = [{"seed": seed} | row(model) for seed, model in seeds.items()]
    path = BOOK / "ngrams" / "diary.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
