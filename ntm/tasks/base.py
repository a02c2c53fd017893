"""What every task has, and how an answer is judged: bits, wrong bits, exactness."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ntm._checks import require_floating


class Batch(NamedTuple):
    """Sequences of one size side by side.

    inputs ``(time, batch, input_size)`` · targets ``(time, batch, output_size)``, of 0
    and 1 · mask ``(time, batch)``, 1 where an answer is expected and 0 elsewhere.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor


class Task(Protocol):
    """A source of sequences with their answers.

    A size is what all sequences of a batch have in common, so that they take the same
    number of steps: for copy the length alone.
    """

    @property
    def input_size(self) -> int:
        """Channels of the input."""

    @property
    def output_size(self) -> int:
        """Channels of the answer."""

    @property
    def test_size(self) -> tuple[int, ...]:
        """The size at which a machine in training is judged: the largest it sees."""

    def draw_size(self, generator: torch.Generator) -> tuple[int, ...]:
        """Return a random size, as it occurs in training."""

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of this size."""


def cost_in_bits(logits: Tensor, batch: Batch) -> Tensor:
    """Return what each answer costs to encode, in bits per sequence.

    −Σ y log₂ p + (1 − y) log₂(1 − p),  over all bits that are asked for

    Computed from logits, which never takes the logarithm of 0.

    Args:
        logits: ``(time, …, batch, output_size)``.
        batch: targets and mask of the same leading dimensions.

    Returns:
        ``(…, batch)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Copying*.
    """
    _check(logits, batch)
    nats = functional.binary_cross_entropy_with_logits(
        logits, batch.targets, reduction="none"
    )
    return (nats.sum(dim=-1) * batch.mask).sum(dim=0) / math.log(2)


def wrong_bits(logits: Tensor, batch: Batch) -> Tensor:
    """Return how many bits of each answer are wrong: ``(…, batch)``, whole numbers.

    An output above ½, a logit above 0, counts as 1.  Arguments and errors are those of
    `cost_in_bits`; an answer without a wrong bit is exact.

    Chapter: *Copying*.
    """
    _check(logits, batch)
    wrong = (logits > 0) != (batch.targets > 0.5)
    return (wrong.sum(dim=-1) * batch.mask.to(torch.int64)).sum(dim=0)


def _check(logits: Tensor, batch: Batch) -> None:
    require_floating(logits=logits)
    if logits.shape != batch.targets.shape:
        raise ValueError(
            f"logits: got shape {tuple(logits.shape)}, needs "
            f"{tuple(batch.targets.shape)} to match the targets"
        )
