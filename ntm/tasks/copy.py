"""Copy: see a random sequence, then say it again from memory (the paper's 4.1)."""

from dataclasses import dataclass

import torch

from ntm._checks import require_whole
from ntm.tasks.base import Batch


@dataclass(frozen=True)
class Copy:
    """Random vectors of bits, a delimiter, then the same vectors again as the answer.

    The delimiter has a channel of its own, the last.  While the answer is expected the
    input is 0 on all channels: the answer can come from memory alone.

    Args:
        bits: channels of a vector.
        shortest, longest: lengths in training are uniform from shortest to longest,
            both of them included.
        uneven: the share of sequences in which a one is not as likely as a zero: how
            likely is drawn for each of these, evenly from 0 to 1.  Silent vectors, and
            equal ones, are rare in even sequences.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Copying*.
    """

    bits: int = 8
    shortest: int = 1
    longest: int = 20
    uneven: float = 0.0

    def __post_init__(self) -> None:
        require_whole(1, bits=self.bits, shortest=self.shortest)
        require_whole(self.shortest, longest=self.longest)
        if not 0 <= self.uneven <= 1:
            raise ValueError(f"uneven: got {self.uneven}, needs 0 ≤ uneven ≤ 1")

    @property
    def input_size(self) -> int:
        """The bits and the delimiter."""
        return self.bits + 1

    @property
    def output_size(self) -> int:
        """The bits."""
        return self.bits

    @property
    def test_size(self) -> tuple[int]:
        """The longest length of training."""
        return (self.longest,)

    def draw_size(self, generator: torch.Generator) -> tuple[int]:
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
        if self.uneven:
            is_uneven, likely = torch.rand(2, batch_size, 1, generator=generator)
            ones = (torch.rand(shape, generator=generator) < likely).float()
            vectors = torch.where(is_uneven < self.uneven, ones, vectors)
        inputs = torch.zeros(2 * length + 1, batch_size, self.input_size)
        inputs[:length, :, : self.bits] = vectors
        inputs[length, :, self.bits] = 1
        targets = torch.zeros(2 * length + 1, batch_size, self.bits)
        targets[length + 1 :] = vectors
        mask = torch.zeros(2 * length + 1, batch_size)
        mask[length + 1 :] = 1
        return Batch(inputs, targets, mask)
