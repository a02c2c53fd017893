"""Priority sort: vectors with priorities; then the highest of them in order (4.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.tasks.base import Batch, Size, Task, vectors_from_words


@dataclass(frozen=True)
class PrioritySort(Task):
    """Random vectors with priorities; then those with the highest ones, highest first.

    A priority is even in [−1, 1] and has a channel of its own, after the bits.  While
    the answer is expected the input is 0 on all channels.  Of equal priorities, which
    one sequence in 90,000 has, the earlier comes first.

    Args:
        bits: channels of a vector.
        vectors: how many vectors are shown in training.
        highest: how many of them are due.
        delimiter: whether a step with a 1 on a channel of its own, the last, stands
            between the vectors and the answer; the paper tells of none.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Priority sort*.
    """

    name = "priority-sort"
    doing = "sorting by priority"
    size_names = ("vectors", "highest")
    example = "10110010:-0.3 01100101:0.7"

    bits: int = 8
    vectors: int = 20
    highest: int = 16
    delimiter: bool = False

    def __post_init__(self) -> None:
        require_whole(1, bits=self.bits)
        _require_possible(self.vectors, self.highest)

    @property
    def input_size(self) -> int:
        """The bits, the priority, and the delimiter if there is one."""
        return self.bits + 1 + self.delimiter

    @property
    def output_size(self) -> int:
        """The bits."""
        return self.bits

    @property
    def test_size(self) -> Size:
        """How many vectors are shown in training, and how many are due."""
        return (self.vectors, self.highest)

    def optimum_bits(self, *size: int) -> float:
        """Return 0: every bit was seen before it is asked for, and so was the order."""
        return 0.0

    def draw_size(self, generator: torch.Generator) -> Size:
        """Return the one size there is in training; nothing is drawn."""
        return self.test_size

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of n vectors, the h highest of them due: n + h steps.

        One more with a delimiter.

        Args:
            generator: draws the bits and the priorities, and nothing else does.
            batch_size: how many sequences.
            size: vectors and highest; any, not only those of training.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        number, highest = size
        require_whole(1, batch_size=batch_size)
        _require_possible(number, highest)
        shape = (number, batch_size, self.bits)
        vectors = torch.randint(0, 2, shape, generator=generator, dtype=torch.float32)
        priorities = 2 * torch.rand(shape[:2], generator=generator) - 1
        return self._ask(vectors, priorities, highest)

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return the sequence of these vectors, each a word such as ``10110010:-0.3``.

        As many are due as in training, or all if there are not so many.

        Raises:
            ValueError: a word that is no vector of this task with a priority.
        """
        vectors, priorities = [], []
        for word in words:
            vector, _, priority = word.partition(":")
            is_number = re.fullmatch(r"-?(\d+\.?\d*|\.\d+)", priority, re.ASCII)
            if not is_number or not -1 <= float(priority) <= 1:
                raise ValueError(
                    f"bits: got {word}, needs {self.bits} of 0 and 1 and a priority "
                    f"from -1 to 1, as in {'10' * self.bits:.{self.bits}}:-0.3"
                )
            vectors.append(vector)
            priorities.append([float(priority)])
        shown = vectors_from_words(vectors, self.bits)
        highest = min(len(words), self.highest)
        return self._ask(shown, torch.tensor(priorities), highest)

    def ranks_said(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return which of the vectors shown each answer is, by rank, 0 the highest.

        It is the one with the fewest wrong bits; of several alike, the one whose rank
        is nearest to the rank that is due.  The order is right where all ranks are
        0, 1, 2, …

        Args:
            logits: ``(time, batch, bits)``.
            batch: sequences of this task, of one size.

        Returns:
            ``(highest, batch)``, whole numbers.

        Chapter: *Priority sort*.
        """
        asked = batch.mask[:, 0] > 0
        number = int((~asked).sum()) - self.delimiter
        priorities = batch.inputs[:number, :, self.bits]
        order = priorities.argsort(dim=0, descending=True, stable=True).unsqueeze(-1)
        ranked = batch.inputs[:number, :, : self.bits].take_along_dim(order, dim=0)
        differs = (logits[asked] > 0).unsqueeze(1) != (ranked > 0.5).unsqueeze(0)
        due, rank = torch.arange(int(asked.sum())), torch.arange(number)
        away = (rank - due.unsqueeze(-1)).abs().unsqueeze(-1)
        return (differs.sum(dim=-1) * number + away).argmin(dim=1)

    def _ask(self, vectors: Tensor, priorities: Tensor, highest: int) -> Batch:
        number, batch_size, _ = vectors.shape
        begin = number + self.delimiter
        inputs = torch.zeros(begin + highest, batch_size, self.input_size)
        inputs[:number, :, : self.bits] = vectors
        inputs[:number, :, self.bits] = priorities
        inputs[number:begin, :, self.bits + 1 :] = 1
        order = priorities.argsort(dim=0, descending=True, stable=True)[:highest]
        targets = torch.zeros(begin + highest, batch_size, self.bits)
        targets[begin:] = vectors.take_along_dim(order.unsqueeze(-1), dim=0)
        mask = torch.zeros(begin + highest, batch_size)
        mask[begin:] = 1
        return Batch(inputs, targets, mask)


def _require_possible(vectors: int, highest: int) -> None:
    require_whole(1, vectors=vectors, highest=highest)
    if highest > vectors:
        raise ValueError(
            f"highest: got {highest}, needs at most {vectors}: no more are shown"
        )
