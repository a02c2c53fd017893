"""Look into the machines that recall: writes ``book/recall/``.

``program.csv``: of each seed of four sets, on 50 sequences of six items, how far the
write head moves in a step (empty if not always alike), how many answers are exact, also
with the read gate shut in some steps of the query, and how many are another item once
the rows of the due item are overwritten with it.

``starts.csv``: of each seed of two of them, on 300 sequences of 20 items, how many
answers are exact, also with the read gate shut at the query's first delimiter, its
vectors, or its last delimiter; and where the read head stands at the first of these:
``one_place``, the most of its weight that is on rows written at the same place of their
items, and ``one_row``, the most that is on a single row.

``split.csv``: of the shipped machine, on 1,000 sequences of 20 items, the weight that
the read head has at the query on the row that is due, and on the next best.

``fewest.csv``, with ``--fewest RUN …``: of development runs that learned with different
numbers of items, or with a lean: what an answer to the most items costs each seed in
the end.

``shorter.csv``, with ``--shorter RUN …``: of development runs that began with shorter
items, what an answer cost each seed when that stage was over, and after 20,000
sequences of this one. ``vectors``: how many bits of 6 are wrong in each vector of the
answer at last, in the mean of 600 answers to six items.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from table import save
from torch import Tensor

import ntm
from ntm.book.counts import machines
from ntm.runs import files, tables
from ntm.runs.run import Run
from ntm.tasks import AssociativeRecall, Batch, wrong_bits

BOOK = Path(__file__).parents[1]
TASK = AssociativeRecall()
AFTER = 20_000
SHUT = {
    "exact": [],
    "shut_at_vectors": [25, 26, 27],
    "shut_at_delimiter": [28],
    "shut_before_delimiter": [24, 25, 26, 27],
}


def drawn(seed: int, sequences: int, items: int) -> tuple[Batch, Tensor, Tensor]:
    """Return sequences, their items, and which of them is asked for, from 0."""
    batch = TASK.batch(torch.Generator().manual_seed(seed), sequences, items)
    vectors = batch.inputs[..., : TASK.bits].unflatten(0, (-1, 4))[:, 1:]
    same = (vectors[:items] == vectors[items]).all(dim=-1).all(dim=1)
    return batch, vectors[:items], same.int().argmax(dim=0)


def exact(model: ntm.NTM, batch: Batch, shut: list[int], locations: int = 64) -> int:
    """Return how many answers are exact with the read gate shut in these steps."""
    clock = iter(range(len(batch.inputs)))

    def hook(module: Any, inputs: Any, told: Any) -> Any:
        gate = told.read.gate * (next(clock) not in shut)
        return told._replace(read=told.read._replace(gate=gate))

    handle = model.heads.register_forward_hook(hook)
    state = model.initial_state(batch.inputs.shape[1], locations)
    outputs, _ = model(batch.inputs, state)
    handle.remove()
    return int((wrong_bits(outputs, batch) == 0).sum())


def program(model: ntm.NTM) -> dict[str, int | None]:
    """Return a row of ``program.csv``."""
    batch, items, asked = drawn(5, 50, 6)
    each, state, places = torch.arange(50), model.initial_state(50, 64), []
    for inputs in batch.inputs[:25]:
        _, state = model.step(inputs, state)
        places.append(state.weightings.write[:, 0].argmax(dim=-1))
    written, memory = torch.stack(places), state.memory.clone()
    moves = ((written[10:] - written[9:-1] + 32) % 64 - 32).unique().tolist()
    other = torch.tensor(
        [
            [n for n in range(1, 6) if n not in (a, a + 1)][i % 3]
            for i, a in enumerate(asked.tolist())
        ]
    )  # an item that is neither the query nor due
    for place in (1, 2, 3, 4):
        source = written[4 * other + place, each]
        memory[each, written[4 * asked + 4 + place, each]] = state.memory[each, source]
    outputs, _ = model(batch.inputs[25:], state._replace(memory=memory))
    says = (outputs[-3:] > 0) == (items[other, :, each].transpose(0, 1) > 0)
    return {
        "moves": moves[0] if len(moves) == 1 else None,
        **{name: exact(model, batch, shut) for name, shut in SHUT.items()},
        "says_other": int(says.all(dim=-1).all(dim=0).sum()),
    }


def standing(weighting: Tensor, written: Tensor) -> tuple[float, float]:
    """Return the weight on rows of one place in their items, and that on one row.

    Args:
        weighting: of a read head, ``(B, N)``.
        written: the row that each step of the items was written to, ``(T, B)``; a row
            belongs to the last step that it was written in.
    """
    each, last = torch.arange(len(weighting)), torch.full(weighting.shape, -1)
    for step, rows in enumerate(written):
        last[each, rows] = step
    places = [
        (weighting * ((last >= 0) & (last % 4 == k))).sum(dim=1) for k in range(4)
    ]
    share = max(float(place.mean()) for place in places)
    return round(share, 2), round(float(weighting.amax(dim=1).mean()), 2)


def starts(model: ntm.NTM) -> dict[str, float]:
    """Return a row of ``starts.csv``."""
    batch, _, _ = drawn(8, 300, 20)
    shut = {"exact": [], "first": [80], "vectors": [81, 82, 83], "last": [84]}
    right = {name: exact(model, batch, steps, 128) for name, steps in shut.items()}
    _, _, trace = model.trace(batch.inputs[:81], model.initial_state(300, 128))
    written = trace.write.weighting[:80, :, 0].argmax(dim=-1)
    one_place, one_row = standing(trace.read.weighting[80, :, 0], written)
    return right | {"one_place": one_place, "one_row": one_row}


def split(model: ntm.NTM, seed: int) -> list[dict[str, float]]:
    """Return rows of ``split.csv``, a sequence each."""
    count, items = 250, 20
    batch, _, asked = drawn(seed, count, items)
    each, state, places = torch.arange(count), model.initial_state(count, 128), []
    outputs, weights = [], {}
    names = dict(enumerate(("vector_1", "vector_2", "vector_3", "delimiter"), start=81))
    for step, inputs in enumerate(batch.inputs):
        output, state = model.step(inputs, state)
        outputs.append(output)
        places.append(state.weightings.write[:, 0].argmax(dim=-1))
        if step in names:
            # Where it was one step after the same step of the asked item.
            row = torch.stack(places)[4 * asked + step - 79, each]
            weight = state.weightings.read[:, 0].clone()
            weights[f"{names[step]}_due"] = weight[each, row]
            for beside in (-1, 0, 1):
                weight[each, (row + beside) % 128] = 0
            weights[f"{names[step]}_rival"] = weight.amax(dim=-1)
    wrong = wrong_bits(torch.stack(outputs), batch)
    return [
        {"wrong_bits": int(wrong[i])}
        | {name: round(float(column[i]), 3) for name, column in weights.items()}
        for i in range(count)
    ]


def learned(run: Path) -> list[dict[str, Any]]:
    """Return the rows of ``fewest.csv`` for a run."""
    finished = Run.resume(run, compiled=False)
    task = finished.training.task
    assert isinstance(task, AssociativeRecall)
    settings = finished.training.settings
    return [
        {
            "controller": settings.controller,
            "heads": settings.num_heads,
            "fewest": task.fewest_items,
            "most": task.most_items,
            "forward_bias": settings.forward_bias,
            "gate_bias": settings.gate_bias,
            "seed": row.seed,
            "sequences": row.sequences,
            "bits": row.bits,
        }
        for row in finished.curve
        if row.sequences == finished.training.sequences
    ]


def missed(model: ntm.NTM) -> list[float]:
    """Return how many bits are wrong in each vector of an answer, in the mean."""
    batch, _, _ = drawn(7, 600, 6)
    outputs, _ = model(batch.inputs, model.initial_state(600, 64))
    wrong = (outputs[-3:] > 0) != (batch.targets[-3:] > 0.5)
    return [round(bits, 1) for bits in wrong.sum(dim=-1).double().mean(dim=1).tolist()]


def begun(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``shorter.csv`` for a run."""
    run = Run.resume(folder, compiled=False)
    first = files.read_json(folder / files.PREVIOUS_STAGE)
    before = tables.read_curve(folder / files.PREVIOUS_STAGE_CURVE)
    known = {row.seed: row.bits for row in before}  # the last of each seed
    rows = []
    for row in run.curve:
        if row.sequences == AFTER:
            model: Any = run.machine(row.seed)
            rows.append(
                {
                    "controller": run.training.settings.controller,
                    "item_length": first["settings"]["task_options"]["item_length"],
                    "first": first["sequences"],
                    "seed": row.seed,
                    "first_bits": known[row.seed],
                    "sequences": row.sequences,
                    "bits": row.bits,
                    "vectors": " ".join(map(str, missed(model))),
                }
            )
    return rows


@torch.no_grad()
def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fewest", type=Path, nargs="+")
    parser.add_argument("--shorter", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.fewest:
        save(
            "recall/fewest.csv", [row for run in options.fewest for row in learned(run)]
        )
    elif options.shorter:
        save(
            "recall/shorter.csv", [row for run in options.shorter for row in begun(run)]
        )
    else:
        rows, beginnings = [], []
        for name in ("lstm", "feedforward", "lstm-lean", "feedforward-longer"):
            seeds: Any = machines(BOOK / "machines" / f"recall-{name}")
            for seed, model in seeds.items():
                rows.append({"set": name, "seed": seed} | program(model))
                if name in ("lstm", "feedforward"):
                    whose = {"controller": name, "seed": seed}
                    beginnings.append(whose | starts(model))
        save("recall/program.csv", rows)
        save("recall/starts.csv", beginnings)
        shipped: Any = ntm.load("recall-lstm")
        save(
            "recall/split.csv",
            [row for seed in range(4) for row in split(shipped, seed)],
        )


if __name__ == "__main__":
    main()
