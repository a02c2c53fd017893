"""Look into the machines that sort: writes two tables into ``book/sort/``.

``program.csv`` is of the reported seeds, ``no-delimiter.csv`` of those that had no
delimiter before the answer.  A row for each seed, of 64 sequences of 20 vectors, the 16
highest due, in 128 locations.  A machine reads a vector one step before it says it, so
the first look is in the step before the answer.

``on``: in what share of the steps while vectors come in the write head moves on by one
row.  ``finds``: in what share of the looks the heaviest row of the read weighting is
that of the vector due next.  ``follows``: in what share of the steps after a look the
heaviest row of the write weighting is that of the vector read last.  ``erase``: the
mean of the erase vector in these steps.

``ordered``: the share of sequences whose answers are in the right order.

Then something is changed before the first answer. ``wrong``: wrong bits of a sequence
when nothing is. ``skipped``: the row of rank 5 is made as it was in the beginning; bits
that differ from the answer without this vector. ``twice``: the row of rank 5 is written
into an unused one as well; bits that differ from the answer with this vector twice.
``not_erased``: from then on nothing is erased or added; in what share of the answers
the vector said is most like that of rank 0 to 2.  ``sharper``: wrong bits when the
read head has twice the strength.

``stages.csv``, with ``--stages RUN …``: of development runs of a stage, with or without
a delimiter, and a lean at the beginning, what an answer costs each seed in the end.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from table import save
from torch import Tensor

import ntm
from ntm.book.counts import machines
from ntm.heads import HeadParameters, WriteParameters
from ntm.machine import State
from ntm.runs import files
from ntm.runs.run import Run
from ntm.tasks import Batch, PrioritySort

BOOK = Path(__file__).parents[1]
SETS = {
    "program": ("sort-feedforward", PrioritySort(delimiter=True)),
    "no-delimiter": ("sort-no-delimiter", PrioritySort()),
}
"""Of each table the machines, and their task."""
SEQUENCES, LOCATIONS, SEED, RANK = 64, 128, 5, 5


class Looks(NamedTuple):
    """Where both heads are: the heaviest row of each, and the row of each vector."""

    written: Tensor
    """``(vectors, B)``, the row to which each vector was written, in order of rank."""
    read: Tensor
    """``(highest, B)``, at the looks."""
    erased: Tensor
    """``(highest, B)``, of the write head, each a step after a look."""


def ranks(batch: Batch, task: PrioritySort) -> Tensor:
    """Return which vector has each rank, 0 the highest, ``(vectors, B)``."""
    priorities = batch.inputs[: task.vectors, :, task.bits]
    return priorities.argsort(dim=0, descending=True, stable=True)


def looks(batch: Batch, trace: Any, task: PrioritySort) -> Looks:
    """Return where the heads of a machine with one of each kind are."""
    write = trace.write.weighting[:, :, 0].argmax(dim=-1)
    read = trace.read.weighting[:, :, 0].argmax(dim=-1)
    begin = task.vectors + task.delimiter
    return Looks(
        write[: task.vectors].take_along_dim(ranks(batch, task), dim=0),
        read[begin - 1 : begin - 1 + task.highest],
        write[begin : begin + task.highest],
    )


def with_row(state: State, at: Tensor, rows: Tensor) -> State:
    """Return a state in which these rows, ``(B)``, hold something else, ``(B, W)``."""
    memory = state.memory.clone()
    memory[torch.arange(len(at)), at] = rows
    return state._replace(memory=memory)


def told(
    model: ntm.NTM,
    inputs: Tensor,
    state: State,
    change: Callable[[HeadParameters], HeadParameters],
) -> Tensor:
    """Return the answer of a machine whose heads are told what `change` makes of it."""
    handle = model.heads.register_forward_hook(lambda _, __, orders: change(orders))
    logits, _ = model(inputs, state)
    handle.remove()
    return logits


def silent(orders: HeadParameters) -> HeadParameters:
    """Return the same with nothing to erase and nothing to add."""
    erase_vector, add_vector = (0 * part for part in orders.change)
    return orders._replace(change=WriteParameters(erase_vector, add_vector))


def sharper(orders: HeadParameters) -> HeadParameters:
    """Return the same with twice the strength for the read head."""
    read = orders.read._replace(strength=2 * orders.read.strength)
    return orders._replace(read=read)


def differ(logits: Tensor, due: Tensor) -> float:
    """Return how many bits of an answer are others than these, per sequence."""
    return float(((logits > 0) != (due > 0.5)).sum(dim=(0, 2)).float().mean())


def row(model: ntm.NTM, task: PrioritySort) -> dict[str, float]:
    """Return a row of a table, without the seed."""
    generator = torch.Generator().manual_seed(SEED)
    batch = task.batch(generator, SEQUENCES, *task.test_size)
    number, begin = task.vectors, task.vectors + task.delimiter
    start = model.initial_state(SEQUENCES, LOCATIONS)
    logits, _, trace = model.trace(batch.inputs, start)
    at = looks(batch, trace, task)
    walked = trace.write.weighting[:number, :, 0].argmax(dim=-1).diff(dim=0) % LOCATIONS
    by_one = (walked == 1) | (walked == LOCATIONS - 1)
    one_way = walked == walked.mode(dim=0).values  # down or up, but always the same

    _, before = model(batch.inputs[:begin], start)
    rest = batch.inputs[begin:]
    shown = batch.inputs[:number, :, : task.bits]
    ranked = shown.take_along_dim(ranks(batch, task).unsqueeze(-1), dim=0)
    without = torch.cat([ranked[:RANK], ranked[RANK + 1 :]])[: task.highest]
    doubled = torch.cat([ranked[: RANK + 1], ranked[RANK:]])[: task.highest]
    each, places = torch.arange(SEQUENCES), torch.arange(task.highest).unsqueeze(-1)
    skipped = with_row(before, at.written[RANK], start.memory[:, 0])
    # As far from all that was written as can be.
    unused = (at.written[0] + LOCATIONS // 2) % LOCATIONS
    twice = with_row(before, unused, before.memory[each, at.written[RANK]])
    quiet = told(model, rest, before, silent)
    said = task.ranks_said(
        torch.cat([torch.zeros(begin, SEQUENCES, task.bits), quiet]), batch
    )
    return {
        "on": (by_one & one_way).float().mean(),
        "finds": (at.read == at.written[: task.highest]).float().mean(),
        "follows": (at.erased[:-1] == at.read[:-1]).float().mean(),
        "erase": trace.params.change.erase_vector[begin:].mean(),
        "ordered": (task.ranks_said(logits, batch) == places).all(dim=0).float().mean(),
        "wrong": differ(logits[begin:], batch.targets[begin:]),
        "skipped": differ(model(rest, skipped)[0], without),
        "twice": differ(model(rest, twice)[0], doubled),
        "not_erased": (said <= 2).float().mean(),
        "sharper": differ(told(model, rest, before, sharper), batch.targets[begin:]),
    }


def walks_by(card: Any) -> str:
    """Return what had made a write head walk in a stage, or in one before it."""
    if not isinstance(card, dict):
        return "nothing"
    if card.get("forward_bias"):
        return "a lean"
    if card.get("task") == "copy":
        return "copying first"
    found = {walks_by(part) for part in card.values()} - {"nothing"}
    return found.pop() if found else "nothing"


def ended(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``stages.csv`` for a run."""
    run = Run.resume(folder, compiled=False)
    settings = run.training.settings
    return [
        {
            "vectors": settings.task_options["vectors"],
            "highest": settings.task_options["highest"],
            "walks_by": walks_by(files.read_json(folder / files.PREVIOUS_STAGE)),
            "delimiter": int(settings.task_options["delimiter"]),
            "learning_rate": settings.learning_rate,
            "seed": last.seed,
            "sequences": last.sequences,
            "bits": round(last.bits, 2),
        }
        for last in run.curve[-len(settings.seeds) :]
    ]


@torch.no_grad()
def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stages", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stages:
        save("sort/stages.csv", [each for run in options.stages for each in ended(run)])
        return
    for name, (folder, task) in SETS.items():
        seeds: Any = machines(BOOK / "machines" / folder)
        rows = [
            {"seed": seed} | {k: f"{float(v):.3g}" for k, v in row(model, task).items()}
            for seed, model in seeds.items()
        ]
        save(f"sort/{name}.csv", rows)


if __name__ == "__main__":
    main()
