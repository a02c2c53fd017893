"""The controller: the network that sees the input and the last reads, and gives orders.

A controller takes a vector and its own carried state, and gives a vector and the next
state; it knows nothing of memories.  The state is a tuple of tensors, empty for a
network without any.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Carried = tuple[Tensor, ...]
"""What a controller carries from one step to the next: as many tensors as it needs."""


class FeedForward(nn.Module):
    """One hidden layer and no state: all that is remembered is in the memory.

    h = tanh(W x + b)

    Args:
        input_size: length of the input and all reads together.
        size: length of the output.

    Chapter: *The controller and the whole machine*.
    """

    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.hidden = nn.Linear(input_size, size)
        nn.init.xavier_uniform_(self.hidden.weight)

    def initial_state(self, batch_size: int) -> Carried:
        """Return the state before the first step: none."""
        return ()

    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Return output and next state: ``(…, input_size)`` → ``(…, size)``."""
        return torch.tanh(self.hidden(inputs)), state


class LSTM(nn.Module):
    """A long short-term memory, its four gates written out, in one or more layers.

    i, f, o = σ(W [x, h] + b);  c' = f ∘ c + i ∘ tanh(W [x, h] + b);  h' = o ∘ tanh(c')

    One product makes all four.  PyTorch's own cell is one fused call that ``vmap``
    cannot look into, so that many seeds could not run side by side with it.  The state
    before the first step is learned, as in the paper.

    Args:
        input_size: length of the input (with all reads, in a machine).
        size: length of the output and of the cell.
        layers: how many on top of each other; each sees the output of the one below.

    Chapter: *The controller and the whole machine*.
    """

    def __init__(self, input_size: int, size: int, layers: int = 1):
        super().__init__()
        below = [input_size] + [size] * (layers - 1)
        self.gates = nn.ModuleList(nn.Linear(n + size, 4 * size) for n in below)
        self.initial_hidden = nn.Parameter(torch.zeros(layers, size))
        self.initial_cell = nn.Parameter(torch.zeros(layers, size))

    def initial_state(self, batch_size: int) -> Carried:
        """Return the learned state before the first step: hidden, cell, layer by layer.

        Each is ``(batch_size, size)``.
        """
        pairs = zip(self.initial_hidden, self.initial_cell, strict=True)
        return tuple(t.expand(batch_size, -1) for pair in pairs for t in pair)

    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Return output and next state: ``(…, input_size)`` → ``(…, size)``."""
        carried: list[Tensor] = []
        below = inputs
        for gates, hidden, cell in zip(
            self.gates, state[::2], state[1::2], strict=True
        ):
            raw = gates(torch.cat([below, hidden], dim=-1))
            enter, keep, leave, candidate = raw.chunk(4, dim=-1)
            fresh = torch.sigmoid(enter) * torch.tanh(candidate)
            next_cell = torch.sigmoid(keep) * cell + fresh
            below = torch.sigmoid(leave) * torch.tanh(next_cell)
            carried += [below, next_cell]
        return below, tuple(carried)


CONTROLLERS: dict[str, Callable[[int, int], Any]] = {
    "feedforward": FeedForward,
    "lstm": LSTM,
}
"""All controllers by name."""


def register(name: str, kind: Callable[[int, int], nn.Module]) -> None:
    """Make a controller of one's own known by a name, to `NTM`, settings and files.

    Args:
        name: not one that another has.
        kind: makes one from the sizes of its input and output; it has the methods
            ``initial_state`` and ``forward`` of `FeedForward`, and its ``forward``
            calls each linear layer once.

    Raises:
        ValueError: another controller has this name.
    """
    if CONTROLLERS.setdefault(name, kind) is not kind:
        raise ValueError(f"name: got {name!r}, which another controller has")
