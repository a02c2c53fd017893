"""Many seeds as one machine: their parameters stacked, their steps taken together.

All parameters of a seed lie in one row of a matrix ``(seeds, P)``.  Whatever treats
every number alike, an optimiser or a checkpoint, then is arithmetic on that matrix, and
a row is a seed: rows never mix.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ntm.tasks import Batch


class CompilerError(RuntimeError):
    """A step that PyTorch cannot compile here; says how to do without."""


class _Method(nn.Module):
    """Makes any method of a model callable with other parameters."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, name: str, *arguments: Any, **settings: Any) -> Any:
        return getattr(self.model, name)(*arguments, **settings)


class StackedModels:
    """A model whose parameters come from outside, for many seeds at once.

    Args:
        model: gives the structure; its own parameters are never used.  Any module with
            the methods ``initial_state(batch_size, **settings)`` and ``step(inputs,
            state)``, as `ntm.machine.NTM` has them.
    """

    compiled = False

    def __init__(self, model: nn.Module):
        self._method = _Method(model)
        self.shapes = {n: p.shape for n, p in model.named_parameters()}
        self.size = sum(shape.numel() for shape in self.shapes.values())

    def stack(self, models: Sequence[nn.Module]) -> Tensor:
        """Return the parameters of these models, ``(seeds, P)``."""
        rows = [[p.detach().flatten() for p in m.parameters()] for m in models]
        return torch.stack([torch.cat(row) for row in rows])

    def named(self, parameters: Tensor) -> dict[str, Tensor]:
        """Return the parameters ``(…, P)`` by name, each ``(…, *shape)``."""
        parts = torch.split(
            parameters, [s.numel() for s in self.shapes.values()], dim=-1
        )
        return {
            name: part.reshape(*part.shape[:-1], *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def __call__(self, parameters: Tensor, inputs: Tensor, **settings: int) -> Tensor:
        """Return the logits of whole sequences, from each seed's initial state.

        Args:
            parameters: ``(seeds, P)``.
            inputs: ``(time, seeds, batch, input_size)``.
            settings: passed on to the model's ``initial_state``, by name.

        Returns:
            ``(time, seeds, batch, output_size)``.

        Raises:
            TypeError: a setting that the model's ``initial_state`` does not have.
        """
        named, state = self.begin(parameters, inputs.shape[2], **settings)
        return self._unroll(named, inputs, state)

    def begin(
        self, parameters: Tensor, batch_size: int, **settings: int
    ) -> tuple[dict[str, Tensor], Any]:
        """Return the parameters by name, and each seed's state before the first step.

        Arguments and errors are those of a call.
        """
        named = self.named(parameters)

        def begin(mine: dict[str, Tensor]) -> Any:
            return self._call(mine, "initial_state", batch_size, **settings)

        return named, vmap(begin)(named)

    def run(
        self, named: dict[str, Tensor], inputs: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """Return the logits of a piece of a sequence, and the state after it.

        Args:
            named: the parameters, as `begin` gives them.
            inputs: ``(time, seeds, batch, input_size)``.
            state: that of `begin`, or after the piece before.
        """
        step = vmap(lambda mine, x, state: self._call(mine, "step", x, state))
        outputs = []
        for x in inputs.unbind(0):
            y, state = step(named, x, state)
            outputs.append(y)
        return torch.stack(outputs), state

    def _unroll(self, named: dict[str, Tensor], inputs: Tensor, state: Any) -> Tensor:
        """Return the logits from the first step to the last."""
        return self.run(named, inputs, state)[0]

    def _call(
        self, named: dict[str, Tensor], name: str, *arguments: Any, **settings: int
    ) -> Any:
        prefixed = {f"model.{n}": p for n, p in named.items()}
        return functional_call(self._method, prefixed, (name, *arguments), settings)


def stacked_models(model: nn.Module, compiled: bool = True) -> StackedModels:
    """Return a model for many seeds at once, compiled if wanted.

    Without the folder ``ntm/fast``, which nothing else needs, it is never compiled.
    """
    if compiled:
        try:
            from ntm.fast.compiler import CompiledModels
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("ntm.fast"):
                raise
        else:
            return CompiledModels(model)
    return StackedModels(model)


def groups(steps: Sequence[int], most: int) -> Iterator[list[int]]:
    """Give rows of about as many steps, which go through the machine together.

    All groups are of one size, for which the compiler makes one program: the last may
    begin with rows of the one before.

    Args:
        steps: of each row.
        most: rows in a group.
    """
    order = sorted(range(len(steps)), key=steps.__getitem__)
    size = math.ceil(len(order) / math.ceil(len(order) / most))
    for start in range(0, len(order), size):
        start = min(start, len(order) - size)
        yield order[start : start + size]


def side_by_side(
    batches: Sequence[Batch], device: torch.device, multiple: int = 1
) -> Batch:
    """Return batches of several seeds as one, ``(time, seeds, batch, …)``.

    Behind a shorter one come steps of zeros, in which nothing is asked for.

    Args:
        batches: each ``(time, batch, …)``.
        device: where the result is.
        multiple: of which there are steps, and one more: copies of 4, 8, 12 … vectors
            take 9, 17, 25 … steps.
    """
    longest = max(len(batch.inputs) for batch in batches)
    steps = 1 + math.ceil((longest - 1) / multiple) * multiple

    def whole(parts: Sequence[Tensor]) -> Tensor:
        padded = nn.utils.rnn.pad_sequence(list(parts)).to(device)
        behind = padded.new_zeros(steps - longest, *padded.shape[1:])
        return torch.cat([padded, behind]) if steps > longest else padded

    return Batch(*(whole(parts) for parts in zip(*batches, strict=True)))
