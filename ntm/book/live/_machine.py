"""A trained machine in the reader's hands: its weights travel to the browser."""

import base64
import json
from typing import Any

import torch
import traitlets
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ntm import pretrained
from ntm.book import figures
from ntm.book.live._widget import LiveFigure, Whole, script, style
from ntm.machine import NTM, Trace
from ntm.runs import trained
from ntm.tasks import Batch

FEW = 20
"""Vectors that are set by hand; a longer sequence goes on with random ones."""

LENGTHS = [*range(1, FEW + 1), 30, 50, 80, 120, 200, 500, 1000, 2000, 5000, 10_000]
ROOMS = [*range(3, 33), 40, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 10_240, 16_384]
"""What the sliders choose from: vectors of a sequence, and locations of the memory."""


def packed(machine: NTM) -> dict[str, Any]:
    """Return a machine as JSON can hold it, for ``unpack`` of ``machine.js``.

    Its configuration, the name and shape of each parameter, and their numbers one after
    the other: float32, the lowest byte first, in base64.
    """
    parameters = {name: p.detach().cpu() for name, p in machine.named_parameters()}
    data = b"".join(p.numpy().astype("<f4").tobytes() for p in parameters.values())
    return {
        "config": machine.config,
        "shapes": [[name, list(p.shape)] for name, p in parameters.items()],
        "base64": base64.b64encode(data).decode(),
    }


def letters(text: str) -> str:
    """Return the letters of a text as vectors: ``01101110 01110100 01101101``."""
    return " ".join(f"{byte:08b}" for byte in text.encode("latin-1"))


class Play(LiveFigure):
    """A trained machine that copies what the reader gives it, computed in the browser.

    ``words``, ``locations`` and ``step`` can be set and move what is on the screen;
    ``answer``, ``write_weighting``, ``read_weighting`` and ``memory`` are what `ntm`
    computes for it.

    Args:
        name: of a shipped machine, or a folder.
        words: up to 20 vectors of bits, such as ``10110010 01101101``.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
        ValueError: there is no such machine; says which are shipped.
        ntm.runs.files.FolderError: its files are damaged.
    """

    _esm = script("machine.js", "face.js", "play.js")
    _css = style()

    # As text: a notebook would store lists with a line for each number.
    packed = traitlets.Unicode().tag(sync=True)
    task = traitlets.Unicode().tag(sync=True)
    hook = traitlets.Unicode().tag(sync=True)
    about = traitlets.Unicode().tag(sync=True)
    loudest = traitlets.Float().tag(sync=True)
    lengths = traitlets.List(traitlets.Int(), LENGTHS, read_only=True).tag(sync=True)
    rooms = traitlets.List(traitlets.Int(), ROOMS, read_only=True).tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)
    length = traitlets.Int().tag(sync=True)
    locations = traitlets.Int().tag(sync=True)
    last = traitlets.Int(2 * LENGTHS[-1] + 1)
    step = Whole(0, "last")

    def __init__(
        self,
        name: str = "copy-feedforward",
        words: str = letters("memories"),
        **changes: Any,
    ):
        model, settings, card = trained.load(pretrained.folder(name))
        if not isinstance(model, NTM):
            raise ValueError(f"name: got {name!r}, needs a machine with a memory")
        self._machine, self._task = model, settings.make_task()
        length = len(words.split())
        given = {"length": length, "locations": length + 4, "step": 3 * length // 2 + 1}
        numbers, longest = f"{card['parameters']:,}", self._task.test_size[0]
        super().__init__(
            packed=json.dumps(packed(model)),
            task=self._task.name,
            hook=f"These {numbers} numbers learned to copy at most {longest} vectors "
            "of bits. Give them yours: how far do they copy?",
            about=f"This machine is seed {card['seed']}: {card['chosen']}.",
            words=words,
            **(given | changes),
        )
        steps = self._trace[1]
        self.loudest = round(float(steps.memory.abs().max()), 1)

    @traitlets.validate("words")
    def _are_vectors(self, proposal: Any) -> str:
        words = proposal["value"].split()
        try:
            self._task.from_words(words)
        except (ValueError, RuntimeError) as error:
            raise traitlets.TraitError(f"words: {error}") from None
        if len(words) > FEW:
            raise traitlets.TraitError(f"words: got {len(words)}, needs at most {FEW}")
        return " ".join(words)

    @traitlets.observe("words")
    def _count(self, change: Any) -> None:
        if self.length <= FEW:
            self.length = len(self.words.split())

    @traitlets.validate("length", "locations")
    def _is_on_the_slider(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        choices = LENGTHS if name == "length" else ROOMS
        if value not in choices:
            most = f"{choices[0]} to {choices[-1]}"
            raise traitlets.TraitError(f"{name}: got {value}, needs one of {most}")
        return int(value)

    @property
    def _trace(self) -> tuple[Tensor, Trace, Batch]:
        batch = self._task.from_words(self.words.split())
        begin = self._machine.initial_state(1, self.locations)
        with torch.no_grad():
            logits, _, steps = self._machine.trace(batch.inputs, begin)
        return logits[:, 0], steps, batch

    @property
    def answer(self) -> Tensor:
        """The vectors that have come out so far, ``(vectors, bits)`` of 0 and 1."""
        logits, _, batch = self._trace
        so_far = batch.mask[: self.step, 0] > 0
        return (logits[: self.step][so_far] > 0).to(torch.int64)

    @property
    def write_weighting(self) -> Tensor:
        """Where the write heads are after this step, ``(H, N)``."""
        return self._trace[1].write.weighting[self.step - 1, 0]

    @property
    def read_weighting(self) -> Tensor:
        """Where the read heads are after this step, ``(H, N)``."""
        return self._trace[1].read.weighting[self.step - 1, 0]

    @property
    def memory(self) -> Tensor:
        """The memory after this step, ``(N, W)``."""
        return self._trace[1].memory[self.step - 1, 0]

    def picture(self) -> Picture:
        """Return the whole copy as a still picture."""
        logits, steps, batch = self._trace
        asked = batch.mask[:, 0] > 0
        answer, target = (logits[asked] > 0).double(), batch.targets[asked, 0]
        wrong, count = int((answer != target).sum()), answer.numel()
        memory = steps.memory[asked, 0][0]
        largest = float(memory.abs().max())
        shown = {
            f"{len(target)} vectors of bits come in, one a step": (target.T, 1.4),
            "and are kept in the memory, a location a row": (memory, largest),
            f"then come out again: {wrong} of {count} bits wrong": (answer.T, 1.4),
        }
        picture, axes = figures.panels(3, 4.9, height_ratios=[2, 3.2, 2])
        for ax, (title, (values, most)) in zip(axes, shown.items(), strict=True):
            is_signed = values is memory
            ax.imshow(
                values.numpy(),
                cmap=figures.SIGNED if is_signed else "Greys",
                vmin=-most if is_signed else 0,
                vmax=most,
                aspect="auto",
            )
            ax.set(title=title, xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
        return picture
