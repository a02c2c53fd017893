"""The pictures of a run that ``python -m ntm show`` draws; needs matplotlib."""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from torch import nn

from ntm.book.figures import SIGNED, learning_curves
from ntm.machine import NTM
from ntm.runs import files, tables
from ntm.tasks import Size, Task
from ntm.training.settings import Settings
from ntm.training.trainer import solved_after


def draw(
    folder: Path, model: nn.Module, settings: Settings, out: Path, size: Size
) -> list[Path]:
    """Draw the curves of all seeds and one sequence; return where the pictures are.

    A machine that came without the curves of its run is drawn without them.

    Raises:
        ntm.runs.files.FolderError: they cannot be written there.
    """
    pictures = {}
    if (folder / files.CURVE).exists():
        pictures["curve.png"] = curves(folder, settings.make_task())
    pictures["sequence.png"] = sequence(model, settings, size)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            picture.savefig(out / name, dpi=150)
    except OSError as error:
        raise files.FolderError(f"{out}: {error.strerror}") from error
    return [out / name for name in pictures]


def curves(folder: Path, task: Task) -> Figure:
    """Return the cost of every seed against the sequences seen, and their median."""
    rows = tables.read_curve(folder / files.CURVE)
    solved = solved_after(rows).values()
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    learning_curves(axes, rows, "memory")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("sequences seen by each seed")
    axes.set_ylabel("bits per sequence")
    axes.set_ylim(bottom=0)
    count = sum(after is not None for after in solved)
    best = task.optimum_bits(*task.test_size)
    optima = {row.sequences: row.optimum for row in rows if row.optimum is not None}
    if best:
        axes.axhline(best, color="grey", linestyle=":", label="optimum")
    elif optima:
        axes.plot(
            list(optima), list(optima.values()), color="grey", ls=":", label="optimum"
        )
    if best or optima:
        axes.legend()
    axes.set_title(f"Cost of {task.doing}, {count} of {len(solved)} seeds solved")
    return figure


@torch.no_grad()
def sequence(model: nn.Module, settings: Settings, size: Size) -> Figure:
    """Return one sequence: target, answer, and for a machine where its heads were."""
    task = settings.make_task()
    batch = task.batch(torch.Generator().manual_seed(0), 1, *size)
    panels = {"input": batch.inputs[:, 0], "target": batch.targets[:, 0]}
    if isinstance(model, NTM):
        outputs, _, trace = model.trace(batch.inputs)
        answer = outputs[:, 0].sigmoid() * batch.mask
        panels["answer"] = answer
        panels["write weighting"] = trace.write.weighting[:, 0, 0]
        panels["read weighting"] = trace.read.weighting[:, 0, 0]
    else:
        panels["answer"] = model(batch.inputs)[0][:, 0].sigmoid() * batch.mask
    figure = Figure(figsize=(8, 1.8 * len(panels)), layout="constrained")
    for axes, (name, panel) in zip(
        figure.subplots(len(panels), sharex=True), panels.items(), strict=True
    ):
        lowest = -1 if (panel < 0).any() else 0
        axes.imshow(
            panel.T.numpy(),
            aspect="auto",
            interpolation="nearest",
            vmin=lowest,
            vmax=1,
            cmap=SIGNED if lowest else None,
        )
        axes.set_ylabel(name)
    axes.set_xlabel("step")
    return figure
