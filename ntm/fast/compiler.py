"""Whole sequences of many seeds, compiled: the step, and the way back through it.

PyTorch's automatic way back keeps all that a step has computed, makes the gradient of
every weight anew in every step, and asks at every call whether the compiled code still
fits.  Here a step keeps its state and what went into and came out of each linear layer;
the rest is computed again on the way back.  The gradient of a weight waits until the
sequence is done and then is one product over all steps.

`ntm.training.stacked.StackedModels` is the plain form of the same, and what this is
tested against.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ntm.fast.steps import Steps
from ntm.recurrent import tensors_in, tree_map, with_tensors
from ntm.training.stacked import StackedModels


class CompiledModels(StackedModels):
    """A model for many seeds at once, whose steps run through the compiler.

    Args:
        model: as `StackedModels` takes it.  A linear layer may be called once in a
            step; other parameters may be used anywhere.
    """

    compiled = True

    def __init__(self, model: nn.Module):
        super().__init__(model)
        self._model = model
        self._known: dict[Any, Steps] = {}

    def _unroll(self, named: dict[str, Tensor], inputs: Tensor, state: Any) -> Tensor:
        """Return the logits; differentiable once, but not by the inputs."""
        state, inputs = tree_map(_contiguous_like, state), inputs.contiguous()
        steps = self._steps(named, inputs[0], state)
        values = [named[name] for name in steps.names]
        outputs: Tensor = _Sequence.apply(  # type: ignore[no-untyped-call]
            steps, torch.is_grad_enabled(), inputs, *values, *tensors_in(state)
        )
        return outputs

    @torch.no_grad()
    def run(
        self, named: dict[str, Tensor], inputs: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """Return the logits of a piece of a sequence, and the state after it."""
        state, inputs = tree_map(_contiguous_like, state), inputs.contiguous()
        steps = self._steps(named, inputs[0], state)
        values = [named[name] for name in steps.names]
        outputs, leaves = [], tensors_in(state)
        for x in inputs.unbind(0):
            y, leaves, _, _ = steps.split(steps.forward(*values, x, *leaves))
            outputs.append(y)
        return torch.stack(outputs), with_tensors(state, leaves)

    def _steps(self, named: dict[str, Tensor], inputs: Tensor, state: Any) -> Steps:
        """Return the compiled step for such tensors, which is made only once.

        Twice, if it was first made without the way back and that is needed later.
        """
        tensors = (*named.values(), inputs, *tensors_in(state))
        alike = tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors)
        known = self._known.get(alike)
        if known is None or (known.backward is None and torch.is_grad_enabled()):
            known = self._known[alike] = Steps(self._model, named, inputs, state)
        return known


def _contiguous_like(tensor: Tensor) -> Tensor:
    """Return the same numbers, all rows or all columns of them side by side."""
    by_columns = tensor.dim() > 1 and tensor.mT.is_contiguous()
    return tensor if by_columns else tensor.contiguous()


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, steps: Steps, keeps: bool, inputs: Tensor, *tensors: Tensor
    ) -> Tensor:
        n = len(steps.names)
        values, state = tensors[:n], tensors[n:]
        outputs, kept = None, []
        for time, x in enumerate(inputs.unbind(0)):
            before = state
            y, state, seen, results = steps.split(steps.forward(*values, x, *before))
            if outputs is None:
                outputs = y.new_empty(len(inputs), *y.shape)
            # Not kept one by one: thousands of small tensors among the large ones of
            # the state would keep these from using the same memory again.
            outputs[time] = y
            if keeps:
                kept.append((x, before, seen, results))
        ctx.steps, ctx.kept, ctx.last = steps, kept, state
        # A change of these in place would spoil the way back: PyTorch looks for it.
        ctx.save_for_backward(*values, inputs, *tensors[n:])
        assert outputs is not None
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        steps, n = ctx.steps, len(ctx.steps.layers)
        assert steps.backward is not None  # gradients were recorded when it was made
        values = dict(zip(steps.names, ctx.saved_tensors, strict=False))
        if len(ctx.kept) < len(gradient):
            raise RuntimeError(
                "backward: the steps are gone after one way back; compute the outputs "
                "again, or do without the compiler: compiled=False"
            )
        state = [torch.zeros_like(t) for t in ctx.last]
        found = {name: torch.zeros_like(values[name]) for name in steps.others}
        pairs = []
        for g in reversed(gradient.contiguous().unbind(0)):
            x, before, seen, results = ctx.kept.pop()
            made = steps.backward(*values.values(), x, *before, *results, g, *state)
            pairs.append((made[:n], seen))
            state = made[n : n + steps.carried]
            for name, more in zip(steps.others, made[n + steps.carried :], strict=True):
                found[name] += more
        for k, layer in enumerate(steps.layers):
            grads = torch.cat([_rows(grads[k]) for grads, _ in pairs], dim=1)
            inputs = torch.cat([_rows(inputs[k]) for _, inputs in pairs], dim=1)
            for part, more in (("weight", grads.mT @ inputs), ("bias", grads.sum(1))):
                name = f"{layer}.{part}"
                found[name] = found[name] + more if name in found else more
        return None, None, None, *map(found.get, steps.names), *state


def _rows(tensor: Tensor) -> Tensor:
    """Return vectors of many dimensions as rows: ``(seeds, rows, size)``."""
    return tensor.reshape(len(tensor), -1, tensor.shape[-1])
