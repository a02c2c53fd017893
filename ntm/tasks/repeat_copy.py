"""Repeat copy: say a random sequence several times, then that this was all (4.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.tasks.base import Batch, Size, Task, vectors_from_words


@dataclass(frozen=True)
class RepeatCopy(Task):
    """Random vectors, how often they are wanted, then so many copies and an end marker.

    The number of repeats k is a single number on a channel of its own, the last, in the
    step after the vectors.  Over the repeats of training, evenly from 1 to K, it has
    mean 0 and variance 1:

    x = (k − (K + 1) / 2) / √((K² − 1) / 12)

    While the answer is expected the input is 0 on all channels.  In the step after the
    last copy the end marker is due, on an output channel of its own, the last, which is
    0 until then; the bits are 0 in that step.  So a machine has to count its copies.

    Args:
        bits: channels of a vector.
        longest: lengths in training are uniform from 1 to longest.
        most_repeats: K, an even number; repeats in training are uniform from 1 to K.
            With an odd number the one in the middle would be 0 on its channel, as if it
            had not been given.
        end_marker: whether an end marker is asked for.
        biased_share: the share of sequences in which a one is not as likely as a zero:
            how likely is drawn for each of these, evenly from 0 to 1.
        so_far: the most repeats of a sequence in training, 0 for as many as there are.
            A machine learns to copy first, then to begin again, and to count last: a
            run with 1, one with 2 that begins with its machines, and so on.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Repeat copy*.
    """

    name = "repeat-copy"
    doing = "repeat copying"
    size_names = ("length", "repeats")
    example = "10110010 01100101 3"
    learning = MappingProxyType({"biased_share": 0.5, "so_far": 0})

    bits: int = 8
    longest: int = 10
    most_repeats: int = 10
    end_marker: bool = True
    biased_share: float = 0.0
    so_far: int = 0

    def __post_init__(self) -> None:
        require_whole(1, bits=self.bits, longest=self.longest)
        require_whole(2, most_repeats=self.most_repeats)
        if self.most_repeats % 2:
            raise ValueError(
                f"most_repeats: got {self.most_repeats}, needs an even number: the one "
                "in the middle would be 0 on its channel, as if it had not been given"
            )
        smallest = 1 / self._deviation
        if smallest < 1e-3:
            raise ValueError(
                f"most_repeats: got {self.most_repeats}, needs fewer: on their channel "
                f"neighbours would be only {smallest:.1g} apart"
            )
        if not 0 <= self.biased_share <= 1:
            raise ValueError(
                f"biased_share: got {self.biased_share}, needs 0 ≤ biased_share ≤ 1"
            )
        require_whole(0, so_far=self.so_far)
        if self.so_far > self.most_repeats:
            raise ValueError(
                f"so_far: got {self.so_far}, needs at most most_repeats, "
                f"{self.most_repeats}"
            )

    @property
    def input_size(self) -> int:
        """The bits and the number of repeats."""
        return self.bits + 1

    @property
    def output_size(self) -> int:
        """The bits, and the end marker if there is one."""
        return self.bits + self.end_marker

    @property
    def vector_size(self) -> int:
        """The bits; what stands apart is the number of repeats, and the end marker."""
        return self.bits

    @property
    def test_size(self) -> Size:
        """The longest length and the most repeats of training."""
        return (self.longest, self.most_repeats)

    @property
    def table(self) -> list[Size]:
        """The largest of training, twice the length, twice the repeats: as in 4.2."""
        longest, most = self.test_size
        return [(longest, most), (2 * longest, most), (longest, 2 * most)]

    def trials(self, memory_locations: int | None) -> list[Size]:
        """Return the sizes of `table` that fit the memory; without one, the first."""
        locations = memory_locations or 0
        first, *larger = self.table
        return [first, *(size for size in larger if size[0] < locations)]

    def optimum_bits(self, *size: int) -> float:
        """Return 0: every bit was seen before it is asked for."""
        return 0.0

    def draw_size(self, generator: torch.Generator) -> Size:
        """Return a random length and a random number of repeats."""
        most = self.so_far or self.most_repeats
        length, repeats = (
            int(torch.randint(1, most + 1, (), generator=generator))
            for most in (self.longest, most)
        )
        return (length, repeats)

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of length L, k times: L + 1 + k L + 1 steps.

        Args:
            generator: draws the bits, and nothing else does.
            batch_size: how many sequences.
            size: length and repeats; any, not only those of training.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        length, repeats = size
        require_whole(1, batch_size=batch_size, length=length, repeats=repeats)
        shape = (length, batch_size, self.bits)
        vectors = torch.randint(0, 2, shape, generator=generator).float()
        if self.biased_share:
            bias, likely = torch.rand(2, batch_size, 1, generator=generator)
            ones = (torch.rand(shape, generator=generator) < likely).float()
            vectors = torch.where(bias < self.biased_share, ones, vectors)
        return self._ask(vectors, repeats)

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return the sequence of these vectors; the last word says how often.

        As in ``10110010 01100101 3``.

        Raises:
            ValueError: a word that is no vector of this task, or no number of repeats.
        """
        *vectors, repeats = words
        if not (vectors and repeats.isdecimal() and int(repeats) > 0):
            raise ValueError(
                f"bits: got {' '.join(words)}, needs vectors and then how often, as in "
                f"{'10' * self.bits:.{self.bits}} 3"
            )
        return self._ask(vectors_from_words(vectors, self.bits), int(repeats))

    def _ask(self, vectors: Tensor, repeats: int) -> Batch:
        length, batch_size, _ = vectors.shape
        begin = length + 1
        end = begin + length * repeats
        steps = end + self.end_marker
        inputs = torch.zeros(steps, batch_size, self.input_size)
        inputs[:length, :, : self.bits] = vectors
        inputs[length, :, self.bits] = self.on_channel(repeats)
        targets = torch.zeros(steps, batch_size, self.output_size)
        targets[begin:end, :, : self.bits] = vectors.repeat(repeats, 1, 1)
        targets[end:, :, self.bits :] = 1
        mask = torch.zeros(steps, batch_size)
        mask[begin:] = 1
        return Batch(inputs, targets, mask)

    def on_channel(self, repeats: int) -> float:
        """Return a number of repeats as it stands at the input."""
        return (repeats - (self.most_repeats + 1) / 2) / self._deviation

    @property
    def _deviation(self) -> float:
        return math.sqrt((self.most_repeats**2 - 1) / 12)
