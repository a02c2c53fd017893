"""A task, a controller, a head, an addressing of one's own are trained as those that come.

They are the examples of CONTRIBUTING.md: each is registered, trained with many seeds at
once, through the compiler's code too, put on disk and loaded again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import ntm
from ntm import addressing, controllers, tasks
from ntm.addressing import Address
from ntm.controllers import Carried
from ntm.fast.step import steps_as_ntm
from ntm.heads import AddressParameters, HeadParameters, Heads
from ntm.machine import NTM
from ntm.runs import trained
from ntm.tasks import Batch, Copy
from ntm.training import settings
from ntm.training.trainer import Trainer


@dataclass(frozen=True)
class Reverse(Copy):
    """The vectors, last one first."""

    name = "reverse"
    doing = "reversing"

    def batch(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        batch = super().batch(generator, batch_size, *size)
        answers = batch.targets[-size[0] :].flip(0)
        targets = torch.cat([batch.targets[: -size[0]], answers])
        return batch._replace(targets=targets)


class GRU(nn.Module):
    """A gated recurrent unit, whose two layers are each called once a step."""

    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.gates = nn.Linear(input_size + size, 2 * size)
        self.candidate = nn.Linear(input_size + size, size)
        self.initial_hidden = nn.Parameter(torch.zeros(size))

    def initial_state(self, batch_size: int) -> Carried:
        return (self.initial_hidden.expand(batch_size, -1),)

    def forward(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        (hidden,) = state
        keep, show = torch.sigmoid(self.gates(torch.cat([inputs, hidden], -1))).chunk(
            2, -1
        )
        fresh = torch.tanh(self.candidate(torch.cat([inputs, show * hidden], -1)))
        hidden = keep * hidden + (1 - keep) * fresh
        return hidden, (hidden,)


class BoundedHeads(Heads):
    """Heads whose keys lie within ± 1."""

    def forward(self, controller_output: Tensor) -> HeadParameters:
        params = super().forward(controller_output)
        write, read = (
            part._replace(key=torch.tanh(part.key))
            for part in (params.write, params.read)
        )
        return params._replace(write=write, read=read)


class BoundedNTM(NTM):
    def __init__(self, *sizes: Any, **options: Any):
        super().__init__(*sizes, **options)
        made = self.heads
        self.heads = BoundedHeads(
            made.linear.in_features, self.memory_width, self.num_heads, self.shift_range
        )


class ByPlaceNTM(NTM):
    """Addresses by place alone: what is in the memory moves no head."""

    def address(
        self, memory: Tensor, previous: Tensor, params: AddressParameters
    ) -> Address:
        shifted = addressing.shift(previous, params.kernel)
        sharpened = addressing.sharpen(shifted, params.exponent)
        return Address(previous, previous, shifted, sharpened)


OWN: dict[str, dict[str, Any]] = {
    "task": {"task": "reverse"},
    "controller": {"controller": "gru"},
    "head": {"model": "bounded"},
    "addressing": {"model": "by-place"},
}
every_part = pytest.mark.parametrize("own", OWN.values(), ids=OWN)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    registries: list[dict[str, Any]]
    registries = [tasks.TASKS, controllers.CONTROLLERS, settings.MODELS]
    before = [dict(known) for known in registries]
    tasks.register(Reverse)
    controllers.register("gru", GRU)
    settings.register("bounded", BoundedNTM)
    settings.register("by-place", ByPlaceNTM)
    yield
    for known, was in zip(registries, before, strict=True):
        known.clear()
        known.update(was)


def learned(own: dict[str, Any], compiled: bool, seeds: tuple[int, ...]) -> Tensor:
    torch.manual_seed(0)
    trainer = Trainer(tiny.settings(seeds=seeds, **own), compiled=compiled)
    for _ in range(3):
        trainer.update()
    return trainer.parameters


@every_part
def test_it_is_trained_alone_in_company_and_compiled_alike(
    own: dict[str, Any], compiled: list[str]
) -> None:
    plain = learned(own, False, (4, 2))
    assert not compiled
    alone = learned(own, False, (2,))
    assert_close(plain[1], alone[0], rtol=1e-4, atol=1e-5)
    assert_close(learned(own, True, (4, 2)), plain, rtol=1e-3, atol=1e-4)
    assert compiled == ["_all_forward", "_all_backward"]
    usual = learned({}, False, (4, 2))
    assert usual.shape != plain.shape or not torch.allclose(usual, plain)


@every_part
def test_it_comes_back_from_disk(own: dict[str, Any], tmp_path: Path) -> None:
    run = tiny.finished(tmp_path / "x", **own, sequences=8)
    model, made, card = trained.load(tmp_path / "x")
    kept = run.machine(card["seed"])
    assert type(model) is type(kept)
    assert made == run.settings
    torch.manual_seed(1)
    inputs = torch.rand(5, 2, 9)
    assert_close(model(inputs)[0], kept(inputs)[0])


def test_a_kind_that_is_registered_is_saved_and_loaded_by_itself(
    tmp_path: Path,
) -> None:
    ntm.save(tmp_path, BoundedNTM(3, 2))
    assert type(ntm.load(tmp_path)) is BoundedNTM


def test_only_a_step_that_is_the_usual_one_is_taken_for_it() -> None:
    assert steps_as_ntm(NTM(2, 2))
    assert steps_as_ntm(BoundedNTM(2, 2))
    assert not steps_as_ntm(ByPlaceNTM(2, 2))


def test_a_name_that_another_part_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^name: got 'lstm', which another contr"):
        controllers.register("lstm", GRU)
    with pytest.raises(ValueError, match=r"^name: got 'ntm', which another model has"):
        settings.register("ntm", ByPlaceNTM)
    with pytest.raises(ValueError, match=r"^task: 'copy' is the name of"):
        tasks.register(type("Other", (Reverse,), {"name": "copy"}))
