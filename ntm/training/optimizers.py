"""The two optimisers, as functions on a matrix of parameters, one seed a row.

Each takes the gradient, what it remembered and the learning rate, and gives the change
to add to the parameters and what to remember next.  All of it is element by element, so
seeds do not see each other.
"""

from typing import Protocol

import torch
from torch import Tensor

Memory = dict[str, Tensor]


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
    square = 0.95 * memory["square"] + 0.05 * gradient**2
    mean = 0.95 * memory["mean"] + 0.05 * gradient
    # Rounding may take a variance below 0, by more than the constant.
    variance = (square - mean**2).clamp_min(0)
    step = rate * gradient / (variance + 1e-4).sqrt()
    change = 0.9 * memory["change"] - step
    count = memory["count"] + 1
    return change, {"mean": mean, "square": square, "change": change, "count": count}


def adam(gradient: Tensor, memory: Memory, rate: float) -> tuple[Tensor, Memory]:
    """Adam, Kingma and Ba 2014, arXiv 1412.6980, algorithm 1.

    m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g²;
    Δ = −η m / (1 − 0.9ᵗ) / (√(v / (1 − 0.999ᵗ)) + 1e-8)
    """
    count = memory["count"] + 1
    mean = 0.9 * memory["mean"] + 0.1 * gradient
    square = 0.999 * memory["square"] + 0.001 * gradient**2
    likely = mean / (1 - 0.9**count).to(mean.dtype)
    spread = (square / (1 - 0.999**count).to(mean.dtype)).sqrt() + 1e-8
    change = -rate * likely / spread
    return change, {"mean": mean, "square": square, "change": change, "count": count}


OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "rmsprop": rmsprop}
"""All optimisers by name."""
