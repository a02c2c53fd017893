"""The tasks: where sequences and their answers come from, and what an answer costs.

One module a task.  A task is a frozen dataclass that extends `Task`; to add one, write
its module and name it here.  A task of another package is added with `register`.
"""

import dataclasses
from typing import TypeVar

from ntm.tasks.associative_recall import AssociativeRecall
from ntm.tasks.base import Batch, Size, Task, cost_in_bits, wrong_bits
from ntm.tasks.copy import Copy
from ntm.tasks.ngrams import NGrams
from ntm.tasks.priority_sort import PrioritySort
from ntm.tasks.repeat_copy import RepeatCopy

TASKS: dict[str, type[Task]] = {}
"""All tasks by name."""

Kind = TypeVar("Kind", bound=type[Task])


def register(kind: Kind) -> Kind:
    """Make a task known by its name, to settings, files and the command line.

    Returns the task, so that it can stand above the class: ``@register``.

    Raises:
        TypeError: it is no `Task` or no dataclass.
        ValueError: another task has this name.
    """
    if not (issubclass(kind, Task) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"task: got {kind!r}, needs a dataclass that extends Task")
    if TASKS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"task: {kind.name!r} is the name of {TASKS[kind.name]!r}")
    return kind


for _kind in (Copy, RepeatCopy, AssociativeRecall, NGrams, PrioritySort):
    register(_kind)

__all__ = [
    "TASKS",
    "AssociativeRecall",
    "Batch",
    "Copy",
    "NGrams",
    "PrioritySort",
    "RepeatCopy",
    "Size",
    "Task",
    "cost_in_bits",
    "register",
    "wrong_bits",
]
