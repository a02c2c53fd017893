"""Many seeds as one machine: their parameters stacked, their steps taken together.

All parameters of a seed lie in one row of a matrix ``(seeds, P)``.  Whatever treats
every number alike, an optimiser or a checkpoint, then is arithmetic on that matrix, and
a row is a seed: rows never mix.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils import _pytree as pytree

from ntm.fast import step as fused
from ntm.fast.compiler import Steps, contiguous_like, unroll


class _Method(nn.Module):
    """Makes any method of a model callable with other parameters."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, name: str, *arguments: Any) -> Any:
        if name == "fused":
            return fused.step(self.model, *arguments)
        return getattr(self.model, name)(*arguments)


class StackedModels:
    """A model whose parameters come from outside, for many seeds at once.

    Args:
        model: gives the structure; its own parameters are never used.
        compiled: whether steps run through the compiler, as in `ntm.fast.compiler`.
    """

    def __init__(self, model: nn.Module, compiled: bool = True):
        self._method = _Method(model)
        self.compiled = compiled
        self.shapes = {n: p.shape for n, p in model.named_parameters()}
        self.size = sum(shape.numel() for shape in self.shapes.values())
        self._known: dict[Any, Steps] = {}

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
            settings: passed on to the model's ``initial_state``.

        Returns:
            ``(time, seeds, batch, output_size)``.
        """
        named = self.named(parameters)
        batch_size = inputs.shape[2]

        def begin(mine: dict[str, Tensor]) -> Any:
            return self._call(mine, "initial_state", batch_size, *settings.values())

        state = pytree.tree_map(contiguous_like, vmap(begin)(named))
        if self.compiled:
            inputs = inputs.contiguous()
            return unroll(self._steps(named, inputs[0], state), named, inputs, state)
        step = vmap(lambda mine, x, state: self._call(mine, "step", x, state))
        outputs = []
        for x in inputs.unbind(0):
            y, state = step(named, x, state)
            outputs.append(y)
        return torch.stack(outputs)

    def _call(self, named: dict[str, Tensor], name: str, *arguments: Any) -> Any:
        prefixed = {f"model.{n}": p for n, p in named.items()}
        return functional_call(self._method, prefixed, (name, *arguments))

    def _steps(self, named: dict[str, Tensor], inputs: Tensor, state: Any) -> Steps:
        """Return the compiled step for such tensors, which is made only once.

        Twice, if it was first made without the way back and that is needed later.
        """
        tensors = pytree.tree_leaves((named, inputs, state))
        alike = tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors)
        known = self._known.get(alike)
        if known is None or (known.backward is None and torch.is_grad_enabled()):
            known = self._known[alike] = Steps(self._method, named, inputs, state)
        return known
