"""Associative recall: shown one of several items again, say the next (4.3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm._checks import require_whole
from ntm.tasks.base import Batch, Size, Task, vectors_from_words


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """Items of a few random vectors; one of them again; then the item after it is due.

    Every item comes after a delimiter, the query between two of another kind; each kind
    has a channel of its own, the last two.  The query is never the last item.  While
    the answer is expected the input is 0 on all channels.

    No two items of a sequence are alike, so that there is one right answer.  The paper
    does not say so: of its items one in 2¹⁸ is like a given other one.

    Args:
        bits: channels of a vector.
        item_length: vectors of an item.
        fewest_items: the fewest items of a sequence in training.
        most_items: the most items of one; how many is uniform, both included.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Associative recall*.
    """

    name = "associative-recall"
    doing = "associative recall"
    size_names = ("items",)
    example = "101100 001110 110011 010101 111000 000111 1"

    bits: int = 6
    item_length: int = 3
    fewest_items: int = 2
    most_items: int = 6

    def __post_init__(self) -> None:
        require_whole(1, bits=self.bits, item_length=self.item_length)
        require_whole(2, fewest_items=self.fewest_items)
        require_whole(self.fewest_items, most_items=self.most_items)
        self._require_different(most_items=self.most_items)

    @property
    def input_size(self) -> int:
        """The bits, the delimiter of items, and that of the query."""
        return self.bits + 2

    @property
    def output_size(self) -> int:
        """The bits."""
        return self.bits

    @property
    def test_size(self) -> Size:
        """The most items of training."""
        return (self.most_items,)

    @property
    def table(self) -> list[Size]:
        """The numbers of items of the paper's figure 11."""
        return [(n,) for n in (6, 8, 10, 12, 15, 20) if self._are_as_many(n)] or [
            self.test_size
        ]

    def trials(self, memory_locations: int | None) -> list[Size]:
        """Return the most items of training, and two and four times as many.

        These two only as far as all steps up to the answer find a location each.
        """
        locations = memory_locations or 0
        more = [times * self.most_items for times in (2, 4)]
        fits = [n for n in more if (n + 1) * (self.item_length + 1) < locations]
        return [self.test_size, *((n,) for n in fits if self._are_as_many(n))]

    def optimum_bits(self, *size: int) -> float:
        """Return 0: the answer was seen, and there is one alone."""
        return 0.0

    def draw_size(self, generator: torch.Generator) -> Size:
        """Return a random number of items."""
        shape, end = (), self.most_items + 1
        return (int(torch.randint(self.fewest_items, end, shape, generator=generator)),)

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of n items of v vectors: (n + 2)(v + 1) steps.

        Args:
            generator: draws the bits and which item is asked for; nothing else does.
            batch_size: how many sequences.
            size: the number of items; any from 2 on, not only those of training.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        (items,) = size
        require_whole(1, batch_size=batch_size)
        require_whole(2, items=items)
        self._require_different(items=items)
        shape = (batch_size, items, self.item_length * self.bits)
        drawn = torch.randint(0, 2, shape, generator=generator, dtype=torch.float32)
        while (again := _seen_before(drawn)).any():
            others = torch.randint(0, 2, shape, generator=generator).float()
            drawn = torch.where(again.unsqueeze(-1), others, drawn)
        query = torch.randint(0, items - 1, (batch_size,), generator=generator)
        return self._ask(drawn, query)

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return the sequence of these vectors; the last word says which item is asked.

        As in ``110 001 1`` for items of one vector of three bits: the first of two.

        Raises:
            ValueError: a word that is no vector of this task, vectors that make no
                items, an item that is none before the last, or is there twice.
        """
        *vectors, query = words
        number, over = divmod(len(vectors), self.item_length)
        if over or number < 2 or not query.isdecimal() or not 0 < int(query) < number:
            example = [f"{'10' * self.bits:.{self.bits}}"] * self.item_length
            raise ValueError(
                f"bits: got {' '.join(words)}, needs two items or more, each of "
                f"{self.item_length} vectors such as {' '.join(example)}, and then the "
                "number of one before the last"
            )
        items = vectors_from_words(vectors, self.bits).reshape(1, number, -1)
        shown = int((items == items[:, int(query) - 1]).all(dim=-1).sum())
        if shown > 1:
            raise ValueError(
                f"bits: item {query} is there {shown} times, needs to be there once"
            )
        return self._ask(items, torch.tensor([int(query) - 1]))

    def _ask(self, items: Tensor, query: Tensor) -> Batch:
        """Return the sequences of these items, ``(batch, number, vectors × bits)``."""
        batch_size, number, _ = items.shape
        in_vectors = (batch_size, -1, self.item_length, self.bits)
        pairs = torch.stack([query, query + 1], dim=1)
        asked, due = items[torch.arange(batch_size).unsqueeze(1), pairs].unbind(1)
        shown = torch.cat([items, asked.unsqueeze(1)], dim=1).view(in_vectors)
        # A block is a delimiter and the vectors after it; the last has the answer.
        blocks = (number + 2, self.item_length + 1, batch_size)
        inputs = torch.zeros(*blocks, self.input_size)
        inputs[:-1, 1:, :, : self.bits] = shown.permute(1, 2, 0, 3)
        inputs[:number, 0, :, self.bits] = 1
        inputs[number:, 0, :, self.bits + 1] = 1
        targets = torch.zeros(*blocks, self.bits)
        targets[-1:, 1:] = due.view(in_vectors).permute(1, 2, 0, 3)
        mask = torch.zeros(blocks)
        mask[-1, 1:] = 1
        return Batch(inputs.flatten(0, 1), targets.flatten(0, 1), mask.flatten(0, 1))

    def _are_as_many(self, items: int) -> bool:
        return math.log2(items) <= self.item_length * self.bits

    def _require_different(self, **items: int) -> None:
        for name, number in items.items():
            if not self._are_as_many(number):
                bits = self.item_length * self.bits
                raise ValueError(
                    f"{name}: got {number}, needs at most {2**bits}: no more items of "
                    f"{bits} bits are different"
                )


def _seen_before(items: Tensor) -> Tensor:
    """Return which of the items ``(…, number, bits)`` are like one before them.

    Vectors of ±1 are alike if their product is as large as they are long.
    """
    signs = 2.0 * items - 1
    alike = signs @ signs.mT == items.shape[-1]
    return alike.tril(-1).any(dim=-1)
