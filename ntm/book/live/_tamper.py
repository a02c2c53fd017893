"""A trained machine that is tampered with while it copies."""

import json
from typing import Any

import torch
import traitlets
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ntm import pretrained
from ntm.book import figures
from ntm.book.live._machine import letters, packed
from ntm.book.live._widget import LiveFigure, Number, Whole, compact, script, style
from ntm.heads import HeadParameters
from ntm.machine import NTM, State
from ntm.runs import trained

HEADS = {"read": ("read",), "write": ("write",), "both": ("write", "read")}
TOOLS = ("overwrite", "move", "gate", "exponent", "kernel", "noise", "remove")


class Tamper(LiveFigure):
    """A trained machine that is tampered with, and whose answer the reader predicts.

    One thing is done to it, which the traits say and which can be set from Python:

    - ``tool``: ``overwrite`` gives location ``row`` a copy of what is in ``other``;
      ``move`` puts a head on ``row``; ``remove`` takes the location ``row`` out of the
      memory; ``noise`` adds normal numbers times ``amount`` to all of it.  These happen
      once, before step number ``when``.  ``gate`` closes a gate, ``exponent`` sets an
      exponent to 1, and ``kernel`` mirrors a kernel: these in each step from there on.
    - ``head``: ``read``, ``write`` or ``both``.

    ``answer`` is what `ntm` computes for it, ``changed`` the vectors of the answer that
    are not what they would have been, ``prediction`` the reader's: a 1 for each vector
    that will change.

    Args:
        name: of a shipped machine, or a folder.
        words: vectors of bits, such as ``10110010 01101101``.
        locations: of the memory; four more than vectors unless said otherwise.

    Raises:
        traitlets.TraitError: a value that cannot be, and which can.
        ValueError: there is no such machine; says which are shipped.
        ntm.runs.files.FolderError: its files are damaged.
    """

    _esm = script("machine.js", "face.js", "tamper.js")
    _css = style("tamper.css")

    packed = traitlets.Unicode().tag(sync=True)
    task = traitlets.Unicode().tag(sync=True)
    about = traitlets.Unicode().tag(sync=True)
    loudest = traitlets.Float().tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)
    locations = traitlets.Int().tag(sync=True)
    noise = traitlets.Unicode().tag(sync=True)
    presets = traitlets.Unicode().tag(sync=True)
    tool = traitlets.Enum(TOOLS, "overwrite").tag(sync=True)
    head = traitlets.Enum(tuple(HEADS), "read").tag(sync=True)
    highest = traitlets.Int()
    row = Whole(0, "highest")
    other = Whole(0, "highest")
    last = traitlets.Int()
    when = Whole(1, "last")
    amount = Number(0.3, 0, 2)
    prediction = traitlets.Unicode().tag(sync=True)
    seen = traitlets.Bool(False).tag(sync=True)
    step = Whole(0, "last")

    def __init__(
        self,
        name: str = "copy-feedforward",
        words: str = letters("machines"),
        locations: int | None = None,
        **changes: Any,
    ):
        model, settings, card = trained.load(pretrained.folder(name))
        if not isinstance(model, NTM):
            raise ValueError(f"name: got {name!r}, needs a machine with a memory")
        self._machine, task = model, settings.make_task()
        self._batch = task.from_words(words.split())
        length = len(words.split())
        room = length + 4 if locations is None else locations
        draw = torch.Generator().manual_seed(0)
        noise = compact(torch.randn(room, model.memory_width, generator=draw), 2)
        self._noise = torch.tensor(noise)
        _, states = self._copy(room, {})
        written = [int(s.weightings.write[0, 0].argmax()) for s in states[1:]][:length]
        ready = _presets(written, room) if length >= 7 else {}
        given = next(iter(ready.values()), {"when": 1}) | changes
        super().__init__(
            packed=json.dumps(packed(model)),
            task=task.name,
            about=f"This machine is seed {card['seed']}: {card['chosen']}.",
            loudest=round(
                float(torch.stack([s.memory for s in states]).abs().max()), 1
            ),
            words=words,
            locations=room,
            noise=json.dumps(noise),
            presets=json.dumps([{"name": n, "how": how} for n, how in ready.items()]),
            highest=room - 1,
            last=2 * length + 1,
            prediction="0" * length,
            **{"step": given["when"] - 1} | given,
        )

    @traitlets.validate("when")
    def _is_a_step(self, proposal: Any) -> int:
        if proposal["value"] < 1:
            raise traitlets.TraitError(f"when: got 0, needs a step, 1 to {self.last}")
        return int(proposal["value"])

    @traitlets.validate("prediction")
    def _is_a_bit_for_each_vector(self, proposal: Any) -> str:
        length, value = len(self.words.split()), str(proposal["value"])
        if len(value) != length or set(value) - {"0", "1"}:
            raise traitlets.TraitError(
                f"prediction: got {value!r}, needs {length} of 0 and 1"
            )
        return value

    @torch.no_grad()
    def _copy(self, locations: int, how: dict[str, Any]) -> tuple[Tensor, list[State]]:
        """Return the logits of the answer, and the state before and after each step."""
        tool, now = how.get("tool"), how.get("when", 0) - 1
        states = [self._machine.initial_state(1, locations)]
        outputs = []
        for t, inputs in enumerate(self._batch.inputs):
            if t == now:
                states[t] = change_state(states[t], how, self._noise)
            is_told = tool in TOLD and t >= now
            hook = self._machine.heads.register_forward_hook(
                lambda _, __, told, on=is_told: change_told(told, how) if on else told
            )
            output, state = self._machine(inputs[None], states[t])
            hook.remove()
            states.append(state)
            outputs.append(output[0, 0])
        return torch.stack(outputs)[self._batch.mask[:, 0] > 0], states

    @property
    def _how(self) -> dict[str, Any]:
        names = ("tool", "head", "row", "other", "when", "amount")
        return {name: getattr(self, name) for name in names}

    @property
    def answer(self) -> Tensor:
        """What it says when it is tampered with, ``(vectors, bits)`` of 0 and 1."""
        return (self._copy(self.locations, self._how)[0] > 0).to(torch.int64)

    @property
    def changed(self) -> list[int]:
        """The vectors of the answer, from 0, that are not what they would have been."""
        untouched = (self._copy(self.locations, {})[0] > 0).to(torch.int64)
        return (self.answer != untouched).any(dim=-1).nonzero().flatten().tolist()

    @property
    def weightings(self) -> tuple[Tensor, Tensor]:
        """Where the write and the read heads are after this step, ``(H, N)`` each."""
        state = self._copy(self.locations, self._how)[1][self.step]
        return state.weightings.write[0], state.weightings.read[0]

    def picture(self) -> Picture:
        """Return both answers as a picture, what has changed in another colour."""
        answer = self.answer
        target = self._batch.targets[self._batch.mask[:, 0] > 0, 0].to(torch.int64)
        marked = torch.where(answer == target, answer, 2)
        inks = ListedColormap(
            ["#ffffff", figures.COLOURS["previous"], figures.COLOURS["shifted"]]
        )
        count = len(self.changed)
        shown = {
            f"{len(target)} vectors that come in": target,
            f"the answer, tampered with: {count} of {len(target)} changed": marked,
        }
        picture, axes = figures.panels(2, 3.0)
        for ax, (title, values) in zip(axes, shown.items(), strict=True):
            ax.imshow(values.T.numpy(), cmap=inks, vmin=0, vmax=2, aspect="auto")
            ax.set(title=title, xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
        return picture


def change_state(state: State, how: dict[str, Any], noise: Tensor) -> State:
    """Return a state, of a batch of one, with what is done to it once."""
    memory, weightings = state.memory.clone(), state.weightings
    match how.get("tool"):
        case "overwrite":
            memory[:, how["row"]] = memory[:, how["other"]]
        case "noise":
            memory += how["amount"] * noise
        case "move":
            place = torch.zeros_like(weightings.read)
            place[..., how["row"]] = 1
            moved = dict.fromkeys(HEADS[how["head"]], place)
            return state._replace(weightings=weightings._replace(**moved))
        case "remove":
            stay = [i for i in range(memory.shape[1]) if i != how["row"]]
            left = type(weightings)(*(w[..., stay] for w in weightings))
            return state._replace(memory=memory[:, stay], weightings=left)
    return state._replace(memory=memory)


TOLD: dict[str, Any] = {
    "gate": lambda own: own._replace(gate=torch.zeros_like(own.gate)),
    "exponent": lambda own: own._replace(exponent=torch.ones_like(own.exponent)),
    "kernel": lambda own: own._replace(kernel=own.kernel.flip(-1)),
}
"""What is done to that which a head is told."""


def change_told(told: HeadParameters, how: dict[str, Any]) -> HeadParameters:
    """Return what the heads are told, with what is done to one of them or to both."""
    change = TOLD[how["tool"]]
    heads = HEADS[how["head"]]
    return told._replace(**{head: change(getattr(told, head)) for head in heads})


def _presets(written: list[int], locations: int) -> dict[str, dict[str, Any]]:
    """Return what the chapter does, by name, for a copy of so many vectors.

    Args:
        written: the location that each vector was written to.
        locations: how many there are.
    """
    delimiter = len(written) + 1
    free = next(i for i in range(locations) if i not in written)
    overwrite: dict[str, Any] = {"tool": "overwrite", "when": delimiter}
    move: dict[str, Any] = {"tool": "move", "head": "read", "when": delimiter}
    remove: dict[str, Any] = {"tool": "remove", "when": delimiter}
    noise: dict[str, Any] = {"tool": "noise", "when": delimiter}
    return {
        "overwrite a row": overwrite | {"row": written[3], "other": written[5]},
        "overwrite the first row": overwrite | {"row": written[0], "other": written[5]},
        "a second first row": overwrite | {"row": written[5], "other": written[0]},
        "move the read head before the delimiter": move | {"row": written[3]},
        "move the read head in the answer": move
        | {"row": written[6], "when": delimiter + 3},
        "move the write head back": move
        | {"head": "write", "row": written[1], "when": 4},
        "close the write gate": {"tool": "gate", "head": "write", "when": 1},
        "close the read gate": {"tool": "gate", "head": "read", "when": 1},
        "close the read gate after the delimiter": {
            "tool": "gate",
            "head": "read",
            "when": delimiter + 1,
        },
        "blunt the exponent": {
            "tool": "exponent",
            "head": "read",
            "when": delimiter + 1,
        },
        "mirror one kernel": {"tool": "kernel", "head": "read", "when": 1},
        "mirror both kernels": {"tool": "kernel", "head": "both", "when": 1},
        "some noise": noise | {"amount": 0.3},
        "much noise": noise | {"amount": 1.0},
        "take a free location away": remove | {"row": free},
        "take a written location away": remove | {"row": written[4]},
    }
