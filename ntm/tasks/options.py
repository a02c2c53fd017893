"""A task's options and sizes by name: in settings, in files and on the command line."""

import dataclasses
import inspect
import itertools
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ntm.tasks.base import Size, Task


def plain(kind: type[Task]) -> dict[str, Any]:
    """Return a task's options and their defaults."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    return {field.name: field.default for field in fields}


def described(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says of each of its arguments."""
    text = (inspect.getdoc(kind) or "").partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
    return {name: " ".join(said.split()).replace("`", "") for name, said in entries}


def in_training(kind: type[Task], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a run: those given, and for all others what is usual.

    Raises:
        TypeError, ValueError: an option that is unknown or of the wrong kind.
    """
    usual = plain(kind) | dict(kind.learning)
    for name, value in given.items():
        if name not in usual:
            raise ValueError(
                f"task.{name}: is unknown to {kind.name}, which has {', '.join(usual)}"
            )
        is_bool = isinstance(value, bool)
        fits = isinstance(value, int | float) and is_bool == _is_bool(kind, name)
        if not fits:
            needs = "true or false" if _is_bool(kind, name) else "a number"
            raise TypeError(f"task.{name}: got {value!r}, needs {needs}")
    return usual | dict(given)


def from_text(kind: type[Task], given: Mapping[str, str]) -> dict[str, Any]:
    """Return options that were given as text.

    Raises:
        ValueError: an option that is unknown, or a text that is no such value.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name in hints and hints[name] is bool:
            known = {"true": True, "false": False}
            values[name] = known.get(text.lower(), text)
        else:
            number = _number(text)
            values[name] = text if number is None else number
    try:
        return in_training(kind, values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def sizes(task: Task, given: Mapping[str, Sequence[int]]) -> list[Size]:
    """Return every combination of these numbers as a size, the last name's fastest.

    A name that is not given is what it is at the task's ``test_size``; without any it
    is the task's ``table``.

    Raises:
        ValueError: a name that the task's sizes do not have.
    """
    for name in given:
        if name not in task.size_names:
            raise ValueError(
                f"{name}: sequences of {task.name} have none, only "
                f"{', '.join(task.size_names)}"
            )
    if not given:
        return task.table
    usual = zip(task.size_names, task.test_size, strict=True)
    return list(itertools.product(*(given.get(name, [n]) for name, n in usual)))


def _is_bool(kind: type[Task], name: str) -> bool:
    return typing.get_type_hints(kind)[name] is bool


def _number(text: str) -> int | float | None:
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return None
