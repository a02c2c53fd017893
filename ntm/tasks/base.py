"""What every task has, and how an answer is judged: bits, wrong bits, exactness."""

import abc
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

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


Size = tuple[int, ...]
"""What all sequences of a batch have in common: a number for each of a task's
``size_names``, in their order."""


class Task(abc.ABC):
    """A source of sequences with their answers; its options are dataclass fields.

    All sequences of one size take the same number of steps.  A task is a frozen
    dataclass whose options are whole numbers, floats or bools, each with a default that
    is the paper's; it refuses those that cannot be with a line that names the option.

    Attributes:
        name: what it is called on the command line and in files.
        doing: the same as an activity, for titles: "Cost of *copying*".
        size_names: what the numbers of a size are called; first how much a machine has
            to hold.
        example: words that `from_words` takes, for help; none if it takes none.
        learning: options that shape the sequences of training alone, and what they are
            in a run unless told otherwise; machines are judged without them.

    Chapter: *How fast and how surely*.
    """

    name: ClassVar[str]
    doing: ClassVar[str]
    size_names: ClassVar[tuple[str, ...]]
    example: ClassVar[str] = ""
    learning: ClassVar[Mapping[str, Any]] = {}

    @property
    @abc.abstractmethod
    def input_size(self) -> int:
        """Channels of the input."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Channels of the answer."""

    @property
    def vector_size(self) -> int:
        """The first channels, of input and answer, that are written as one word."""
        return self.output_size

    @property
    @abc.abstractmethod
    def test_size(self) -> Size:
        """The size at which a machine in training is judged, the largest it sees."""

    @abc.abstractmethod
    def draw_size(self, generator: torch.Generator) -> Size:
        """Return a random size, as it occurs in training."""

    @abc.abstractmethod
    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Return random sequences of this size, which may be beyond those of training.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """

    @property
    def table(self) -> list[Size]:
        """The sizes at which a machine is shown unless told otherwise, the paper's."""
        return [self.test_size]

    def trials(self, memory_locations: int | None) -> list[Size]:
        """Return the sizes by which the best of several seeds is chosen, easier first.

        Args:
            memory_locations: what the machine has; None for one without a memory.
        """
        return [self.test_size]

    def from_words(self, words: Sequence[str]) -> Batch:
        """Return a single sequence, made of what somebody has typed.

        Raises:
            ValueError: the word that cannot be, or the task takes no words.
        """
        raise ValueError(f"task {self.name}: takes no sequence that is typed")

    def optimum_bits(self, *size: int) -> float | None:
        """Return the least expected cost in bits per sequence; None if not known."""
        return None

    def optimum_of(self, batch: Batch) -> Tensor | None:
        """Return what the best answers to these sequences cost, in bits, ``(batch)``.

        Where chance decides what is right, a machine is judged by what it costs above
        this.  None where it is not known, or nothing is left to chance.
        """
        return None


def vectors_from_words(words: Sequence[str], bits: int) -> Tensor:
    """Return words such as ``10110010`` as vectors, ``(length, 1, bits)``.

    Raises:
        ValueError: a word has not so many bits, or something else than 0 and 1.
    """
    for word in words:
        if len(word) != bits or set(word) - {"0", "1"}:
            raise ValueError(f"bits: got {word}, needs {bits} of 0 and 1")
    return torch.tensor([[[float(bit) for bit in word]] for word in words])


def named(task: Task, size: Size) -> dict[str, int]:
    """Return a size as names and numbers.

    Raises:
        ValueError: it has not as many numbers as the task has names.
    """
    if len(size) != len(task.size_names):
        names = ", ".join(task.size_names)
        raise ValueError(f"size: got {size}, needs {names}")
    return dict(zip(task.size_names, size, strict=True))


def require_consistent(task: Task, sizes: Iterable[Size]) -> None:
    """Raise ``ValueError`` unless a task gives at these sizes what it says it gives.

    A run calls it before it trains, so that nothing fails after.
    """
    for size in sizes:
        batch = _one(task, size)
        length = len(batch.inputs)
        needed = {
            "inputs": (length, 1, task.input_size),
            "targets": (length, 1, task.output_size),
            "mask": (length, 1),
        }
        for name, shape in needed.items():
            got = tuple(getattr(batch, name).shape)
            if got != shape:
                raise ValueError(
                    f"task {task.name}: {name} of {named(task, size)}: got shape "
                    f"{got}, needs {shape}"
                )
        if not batch.mask.any():
            raise ValueError(f"task {task.name}: {named(task, size)}: asks for nothing")


def steps(task: Task, size: Size) -> int:
    """Return how many steps a sequence of this size takes."""
    return len(_one(task, size).inputs)


def bits_asked(task: Task, size: Size) -> int:
    """Return how many bits a sequence of this size asks for."""
    return int(_one(task, size).mask.sum()) * task.output_size


def _one(task: Task, size: Size) -> Batch:
    return task.batch(torch.Generator(), 1, *named(task, size).values())


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

    Chapter: *How fast and how surely*.
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

    Chapter: *How fast and how surely*.
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
