"""Copy: see a random sequence, then say it again from memory (the paper's 4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.tasks.base import Batch, Size, Task, vectors_from_words


@dataclass(frozen=True)
class Copy(Task):
    """Random vectors of bits, a delimiter, then the same vectors again as the answer.

    The delimiter has a channel of its own, the last.  While the answer is expected the
    input is 0 on all channels: the answer can come from memory alone.

    Args:
        bits: channels of a vector.
        shortest: how many vectors the shortest sequence of training has.
        longest: how many the longest has; lengths are uniform, both included.
        biased_share: the share of sequences in which a one is not as likely as a zero:
            how likely is drawn for each of these, evenly from 0 to 1.  Silent vectors,
            and equal ones, are rare in fair sequences.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *How fast and how surely*.
    """

    name = "copy"
    doing = "copying"
    size_names = ("length",)
    example = "10110010 01100101"
    learning = MappingProxyType({"biased_share": 0.5})

    bits: int = 8
    shortest: int = 1
    longest: int = 20
    biased_share: float = 0.0

    def __post_init__(self) -> None:
        require_whole(1, bits=self.bits, shortest=self.shortest)
        require_whole(self.shortest, longest=self.longest)
        if not 0 <= self.biased_share <= 1:
            raise ValueError(
                f"biased_share: got {self.biased_share}, needs 0 ≤ biased_share ≤ 1"
            )

    @property
    def input_size(self) -> int:
        """The bits and the delimiter."""
        return self.bits + 1

    @property
    def output_size(self) -> int:
        """The bits."""
        return self.bits

    @property
    def test_size(self) -> Size:
        """The longest length of training."""
        return (self.longest,)

    @property
    def table(self) -> list[Size]:
        """The lengths of the paper's figures 4 and 5."""
        return [(10,), (20,), (30,), (50,), (120,)]

    def trials(self, memory_locations: int | None) -> list[Size]:
        """Return the longest length of training, and one that nearly fills the memory.

        The second is at most six times the first; without a memory there is none.
        """
        if memory_locations is None:
            return [self.test_size]
        fits = max(self.longest + 1, memory_locations - 8)
        return [self.test_size, (min(6 * self.longest, fits),)]

    def optimum_bits(self, *size: int) -> float:
        """Return 0: every bit was seen before it is asked for."""
        return 0.0

    def draw_size(self, generator: torch.Generator) -> Size:
        """Return a random length."""
        return (
            int(
                torch.randint(self.shortest, self.longest + 1, (), generator=generator)
            ),
        )

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of one length L: 2L + 1 steps.

        Args:
            generator: draws the bits, and nothing else does.
            batch_size: how many sequences.
            size: the length; any, not only those of training.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        (length,) = size
        require_whole(1, batch_size=batch_size, length=length)
        shape = (length, batch_size, self.bits)
        vectors = torch.randint(0, 2, shape, generator=generator).float()
        if self.biased_share:
            bias, likely = torch.rand(2, batch_size, 1, generator=generator)
            ones = (torch.rand(shape, generator=generator) < likely).float()
            vectors = torch.where(bias < self.biased_share, ones, vectors)
        return self._ask(vectors)

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return the sequence of these vectors, each a word such as ``10110010``.

        Raises:
            ValueError: a word that is no vector of this task.
        """
        return self._ask(vectors_from_words(words, self.bits))

    def _ask(self, vectors: Tensor) -> Batch:
        length, batch_size, _ = vectors.shape
        inputs = torch.zeros(2 * length + 1, batch_size, self.input_size)
        inputs[:length, :, : self.bits] = vectors
        inputs[length, :, self.bits] = 1
        targets = torch.zeros(2 * length + 1, batch_size, self.bits)
        targets[length + 1 :] = vectors
        mask = torch.zeros(2 * length + 1, batch_size)
        mask[length + 1 :] = 1
        return Batch(inputs, targets, mask)
