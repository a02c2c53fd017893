"""Dynamic n-grams: predict the next bit, by rules that are new in each sequence (4.4).

With the best predictor there is, which the paper's equation 10 gives.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ntm._checks import require_whole
from ntm.tasks.base import Batch, Size, Task

_WIDEST = 10


@dataclass(frozen=True)
class NGrams(Task):
    """Bits that depend on those before them; each is due the step before it is shown.

    How likely a 1 is after each context, the bits last seen, stands in a table that is
    drawn anew for each sequence, its numbers from Beta(½, ½).  The first bits, which
    have no context, are fair coins.  In every step the next bit is due; what is shown
    is the bit before it, at first 0.

    All bits are asked for, the first ones too, which cost a bit each: the best
    predictor then takes 133.2 bits for 200, as in the paper; without them 128.2.

    Args:
        context: how many bits the next one depends on; 5 for 6-grams.
        length: bits of a sequence in training.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Dynamic n-grams*.
    """

    name = "n-grams"
    doing = "predicting n-grams"
    size_names = ("length",)
    example = "0111011101"

    context: int = 5
    length: int = 200

    def __post_init__(self) -> None:
        require_whole(1, context=self.context)
        if self.context > _WIDEST:
            raise ValueError(
                f"context: got {self.context}, needs at most {_WIDEST}: the table of "
                "each sequence has two to the power of it numbers"
            )
        self._require_longer(self.length)

    @property
    def input_size(self) -> int:
        """The bit before."""
        return 1

    @property
    def output_size(self) -> int:
        """The next bit."""
        return 1

    @property
    def test_size(self) -> Size:
        """The one length of training."""
        return (self.length,)

    def optimum_of(self, batch: Batch) -> Tensor:
        """Return the `optimal_cost` of each sequence."""
        return optimal_cost(batch.targets[..., 0], self.context)

    def draw_size(self, generator: torch.Generator) -> Size:
        """Return the one length of training; nothing is drawn."""
        return self.test_size

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of one length, a step for each bit.

        Args:
            generator: draws the tables and the bits, and nothing else does.
            batch_size: how many sequences.
            size: the length; any beyond that of the context.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        (length,) = size
        require_whole(1, batch_size=batch_size)
        self._require_longer(length)
        uniform = torch.rand(batch_size, 2**self.context, generator=generator)
        table = torch.sin(math.pi / 2 * uniform).square()  # so it is from Beta(½, ½)
        chances = torch.rand(length, batch_size, generator=generator)
        return self._ask(draw(table, chances, self.context))

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return the sequence of these bits, in a word such as ``0111011`` or several.

        Raises:
            ValueError: something else than 0 and 1, or not more than a context.
        """
        typed = "".join(words)
        if set(typed) - {"0", "1"} or len(typed) <= self.context:
            raise ValueError(
                f"bits: got {' '.join(words)}, needs more than {self.context} of 0 and "
                "1, all in a word"
            )
        return self._ask(torch.tensor([[float(bit)] for bit in typed]))

    def _ask(self, bits: Tensor) -> Batch:
        before = functional.pad(bits[:-1], (0, 0, 1, 0))
        return Batch(before.unsqueeze(-1), bits.unsqueeze(-1), torch.ones_like(bits))

    def _require_longer(self, length: int) -> None:
        require_whole(self.context + 1, length=length)


def draw(table: Tensor, chances: Tensor, context: int) -> Tensor:
    """Return the bits that tables give: 1 where the chance is below what it has to be.

    The first bits are compared with ½, each later one with what its table has for the
    bits before it, read as a number whose last digit is the latest bit.

    Args:
        table: how likely a 1 is after each context, ``(batch, 2 ** context)``.
        chances: between 0 and 1, ``(length, batch)``.
        context: how many bits the next one depends on.

    Returns:
        ``(length, batch)``, of 0 and 1.

    Chapter: *Dynamic n-grams*.
    """
    # Plain numbers: a tensor function takes longer to call than a step has to do.
    sequences = []
    for after, mine in zip(table.tolist(), chances.T.tolist(), strict=True):
        seen, bits = 0, []
        for step, chance in enumerate(mine):
            bit = chance < (after[seen] if step >= context else 0.5)
            seen = (2 * seen + bit) % 2**context
            bits.append(bit)
        sequences.append(bits)
    return torch.tensor(sequences, dtype=chances.dtype).T


def contexts(bits: Tensor, context: int = 5) -> Tensor:
    """Return the bits before each as a number whose last digit is the latest.

    Args:
        bits: of 0 and 1, ``(length, …)``, more of them than a context has.
        context: how many bits the next one depends on.

    Returns:
        ``(length, …)``, in int64; −1 for the first bits, which have no context.

    Chapter: *Dynamic n-grams*.
    """
    digits = 2 ** torch.arange(context - 1, -1, -1, device=bits.device)
    windows = bits.to(torch.int64).unfold(0, context, 1)[:-1]
    numbers = (windows * digits).sum(dim=-1)
    return torch.cat([torch.full_like(bits[:context], -1, dtype=torch.int64), numbers])


def optimal_prediction(bits: Tensor, context: int = 5) -> Tensor:
    """Return how likely a 1 is at each step for who knows all bits before it.

    P(1) = (N₁ + ½) / (N₁ + N₀ + 1)                       (the paper's equation 10)

    N₁ and N₀ count how often a 1 and a 0 came after the same context before.  The first
    bits are fair coins, ½ each, and are not counted.

    Args:
        bits: of 0 and 1, ``(length, …)``.
        context: how many bits the next one depends on.

    Returns:
        ``(length, …)``, in float64.

    Raises:
        ValueError: there are no more bits than a context has.

    Chapter: *Dynamic n-grams*.
    """
    require_whole(context + 1, length=len(bits))
    whole = bits.reshape(len(bits), -1).to(torch.int64)
    seen = contexts(whole, context)
    each = torch.arange(whole.shape[1])
    counts = torch.zeros(len(each), 2**context, 2, dtype=torch.float64)
    said = torch.full(whole.shape, 0.5, dtype=torch.float64)
    for step in range(context, len(whole)):
        n0, n1 = counts[each, seen[step]].T
        said[step] = (n1 + 0.5) / (n1 + n0 + 1)
        counts[each, seen[step], whole[step]] += 1
    return said.reshape(bits.shape)


def optimal_cost(bits: Tensor, context: int = 5) -> Tensor:
    """Return what the optimal prediction costs, in bits per sequence, ``(…)``.

    No predictor costs less in the mean of all sequences.  What that mean is has no
    closed form: how often a context is seen depends on what follows all of them.

    Args:
        bits: of 0 and 1, ``(length, …)``.
        context: how many bits the next one depends on.

    Chapter: *Dynamic n-grams*.
    """
    one = optimal_prediction(bits, context)
    return -torch.where(bits > 0.5, one, 1 - one).log2().sum(dim=0)
