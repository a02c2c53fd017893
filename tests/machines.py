"""Small machines in float64, and how to run one from a dictionary of parameters."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ntm.baseline import Baseline
from ntm.machine import NTM
from ntm.recurrent import tensors_in

INPUTS, OUTPUTS, LOCATIONS, WIDTH, SIZE = 3, 2, 11, 4, 5


def small(controller: str = "lstm", num_heads: int = 1, shift_range: int = 1) -> NTM:
    machine = NTM(
        INPUTS,
        OUTPUTS,
        controller=controller,
        controller_size=SIZE,
        memory_locations=LOCATIONS,
        memory_width=WIDTH,
        num_heads=num_heads,
        shift_range=shift_range,
    )
    return restless(machine).double()


def small_baseline() -> Baseline:
    return restless(Baseline(INPUTS, OUTPUTS, size=SIZE, layers=3)).double()


def restless(model: nn.Module) -> nn.Module:
    """Parameters large enough that every part of the model does something."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    return model


MODELS = {
    "lstm": small,
    "feedforward": lambda: small("feedforward"),
    "two heads": lambda: small(num_heads=2, shift_range=2),
    "baseline": small_baseline,
}


def sequence(time: int = 6, batch: int = 2) -> Tensor:
    return torch.randn(time, batch, INPUTS, dtype=torch.float64)


def run(model: nn.Module, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
    outputs: Tensor = functional_call(model, parameters, (inputs,))[0]
    return outputs


def leaves(tree: object) -> list[Tensor]:
    return tensors_in(tuple(tree.values()) if isinstance(tree, dict) else tree)
