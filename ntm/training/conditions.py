"""Conditions that are harder while machines learn than when they are judged.

A memory with few locations punishes writing over what is not yet read; heads with a
part of their key strengths need keys that stand out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from ntm.heads import HeadParameters
from ntm.tasks import Size, Task
from ntm.training.settings import Settings


class Conditions(NamedTuple):
    """The conditions of one update, the same for all seeds.

    locations: of the memory, None for a model's own · strength: the share of their key
    strengths that heads have.
    """

    locations: int | None = None
    strength: float = 1.0


USUAL = Conditions()


def next_conditions(settings: Settings, stream: torch.Generator) -> Conditions:
    """Return random conditions, one of each kind that the settings name."""
    return Conditions(
        _one_of(settings.training_locations, stream, None),
        _one_of(settings.training_strengths, stream, 1.0),
    )


def _one_of(choices: Sequence[Any], stream: torch.Generator, usual: Any) -> Any:
    if not choices:
        return usual
    return choices[int(torch.randint(len(choices), (), generator=stream))]


def weakened(model: nn.Module, share: float) -> nn.Module:
    """Leave the heads of a machine this share of their key strengths; return it."""

    def less(_: nn.Module, __: Any, told: HeadParameters) -> HeadParameters:
        write, read = (
            head._replace(strength=share * head.strength)
            for head in (told.write, told.read)
        )
        return told._replace(write=write, read=read)

    model.get_submodule("heads").register_forward_hook(less)
    return model


def fitting_size(task: Task, stream: torch.Generator, locations: int | None) -> Size:
    """Return a random size, as training has it, that leaves two locations free.

    Args:
        task: what is learned; the first number of its sizes is how much is held.
        stream: draws the size.
        locations: of the memory; None for as many as are needed.

    Raises:
        ValueError: of a thousand sizes none fits.
    """
    for _ in range(1000):
        size = task.draw_size(stream)
        if locations is None or size[0] + 2 <= locations:
            return size
    raise ValueError(f"training_locations: got {locations}, needs more for {task.name}")
