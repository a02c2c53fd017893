"""The two optimisers, as functions on a matrix of parameters, one seed a row.

Each takes the gradient, what it remembered and the learning rate, and gives the change
to add to the parameters and what to remember next.  All of it is element by element, so
seeds do not see each other.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

Memory = dict[str, Tensor]

DECAY = {"adam": 0.99, "rmsprop": 0.95}
"""How much of the mean square of the gradient stays from one update to the next.

Adam's is 0.999 in the paper.  A machine that has learned copy has tiny gradients; after
a thousand of them a single ordinary one makes a step that throws it out again.  At 0.99
this mean follows ten times as fast.
"""


class Optimizer(Protocol):
    """What both are."""

    def __call__(
        self, gradient: Tensor, memory: Memory, rate: float
    ) -> tuple[Tensor, Memory]:
        """Return the change to the parameters and the next memory."""


def start(parameters: Tensor) -> Memory:
    """Return what either remembers before the first update: nothing but zeros."""
    zeros = torch.zeros_like(parameters)
    count = torch.zeros((), dtype=torch.float64, device=parameters.device)
    return {"mean": zeros, "square": zeros, "change": zeros, "count": count}


def rmsprop(gradient: Tensor, memory: Memory, rate: float) -> tuple[Tensor, Memory]:
    """RMSProp as in Graves 2013, arXiv 1308.0850, equations 38 to 41.

    n = 0.95 n + 0.05 g²;  ḡ = 0.95 ḡ + 0.05 g;  Δ = 0.9 Δ − η g / √(n − ḡ² + 0.0001)

    Not PyTorch's: the mean is subtracted, and the constant is inside the root.
    """
    square = _mean_square("rmsprop", gradient, memory)
    mean = 0.95 * memory["mean"] + 0.05 * gradient
    step = rate * gradient / (square - mean**2 + 1e-4).sqrt()
    change = 0.9 * memory["change"] - step
    count = memory["count"] + 1
    return change, {"mean": mean, "square": square, "change": change, "count": count}


def adam(gradient: Tensor, memory: Memory, rate: float) -> tuple[Tensor, Memory]:
    """Adam, Kingma and Ba 2014, arXiv 1412.6980, algorithm 1.

    m = 0.9 m + 0.1 g;  v = 0.99 v + 0.01 g²;
    Δ = −η m / (1 − 0.9ᵗ) / (√(v / (1 − 0.99ᵗ)) + 1e-8)

    The 0.99 is 0.999 there; see `DECAY`.
    """
    count = memory["count"] + 1
    mean = 0.9 * memory["mean"] + 0.1 * gradient
    square = _mean_square("adam", gradient, memory)
    likely = mean / (1 - 0.9**count).to(mean.dtype)
    spread = (square / (1 - DECAY["adam"] ** count).to(mean.dtype)).sqrt() + 1e-8
    change = -rate * likely / spread
    return change, {"mean": mean, "square": square, "change": change, "count": count}


def usual_norm(name: str, memory: Memory) -> Tensor:
    """Return the norm that the gradients of each seed had lately, ``(seeds, 1)``.

    Before the first update there is none: infinite.
    """
    seen = (1 - DECAY[name] ** memory["count"]).to(memory["square"].dtype)
    total = memory["square"].sum(dim=-1, keepdim=True)
    return torch.where(seen > 0, (total / seen).sqrt(), math.inf)


def _mean_square(name: str, gradient: Tensor, memory: Memory) -> Tensor:
    return DECAY[name] * memory["square"] + (1 - DECAY[name]) * gradient**2


OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "rmsprop": rmsprop}
