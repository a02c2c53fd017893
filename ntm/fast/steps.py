"""One step of many seeds, and the way back through it, compiled.

What `ntm.fast.compiler` goes through a sequence with.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from ntm.fast import inductor
from ntm.fast.step import step
from ntm.recurrent import tensors_in, tree_map, with_tensors


class Steps:
    """The step of a model for many seeds and its gradient, compiled for one shape.

    Where no gradients are recorded, only the step is compiled; ``backward`` is None.

    Args:
        model: any with a ``step``.
        named: the parameters, each ``(seeds, *shape)``.
        inputs: of one step, ``(seeds, batch, input_size)``.
        state: that before the first step.

    Raises:
        CompilerError: the step cannot be compiled.
        ValueError: a linear layer that is called twice in a step, or a state that is
            another one after a step than before.
    """

    def __init__(
        self, model: nn.Module, named: dict[str, Tensor], inputs: Tensor, state: Any
    ):
        self._call = _Step(model)
        self._modules = {
            name.removeprefix("model."): module
            for name, module in self._call.named_modules()
            if _is_linear(module) and f"{name.removeprefix('model.')}.weight" in named
        }
        self.names = list(named)
        self._structure = tree_map(lambda t: t.new_empty(0), state)
        leaves = tensors_in(state)
        self.carried = len(leaves)
        self._by_columns = [not leaf.is_contiguous() for leaf in leaves]
        values = list(named.values())
        differentiable = torch.is_grad_enabled()
        tensors = [t.detach() for t in (*values, inputs, *leaves)]
        self.layers, self.others = self._look(*(t[0] for t in tensors))
        self.backward: inductor.Function | None = None
        with torch.no_grad():
            outputs, after, _, results = self.split(self._all_forward(*tensors))
            _require_alike(after, leaves)
            self.forward = inductor.compile_for(self._all_forward, tensors)
            if differentiable:
                tensors += [*results, outputs, *after]
                self.backward = inductor.compile_for(self._all_backward, tensors)

    def _look(self, *tensors: Tensor) -> tuple[list[str], list[str]]:
        """Return the linear layers in the order of their calls, and other parameters.

        These are all that a step uses in another way than by calling a linear layer:
        the weight of a layer may be among them.
        """
        names = {module: name for name, module in self._modules.items()}
        called: list[str] = []

        def note(layer: nn.Module, arguments: tuple[Tensor], result: Tensor) -> Tensor:
            if names[layer] in called:
                raise ValueError(
                    f"{names[layer]}: is called twice in a step, needs to be called "
                    "once to be compiled; do without: --eager, compiled=False"
                )
            called.append(names[layer])
            known = arguments[0], layer.weight, result.detach()
            return _LinearWithKnownOutput.apply(*known)  # type: ignore[no-untyped-call, no-any-return]

        n = len(self.names)
        values = [tensor.requires_grad_() for tensor in tensors[:n]]
        with torch.enable_grad(), self._watched(note):
            made, _ = self._step(*values, *tensors[n:])
            reached = [tensor for tensor in made if tensor.requires_grad]
            by = torch.autograd.grad(
                reached, values, [*map(torch.ones_like, reached)], allow_unused=True
            )
        pairs = zip(self.names, by, strict=True)
        return called, [name for name, gradient in pairs if gradient is not None]

    def _all_forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._laid_out(vmap(self._forward)(*tensors), 1)

    def _all_backward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        made = vmap(self._backward)(*tensors)
        return self._laid_out(made, len(self.layers))

    def _laid_out(self, made: Sequence[Tensor], first: int) -> tuple[Tensor, ...]:
        """Lay out the state in here as before the first step: one program fits all.

        Not inside ``vmap``, which sees one seed and not how far apart they lie.
        """
        last = first + self.carried
        state = [
            leaf.mT.contiguous().mT if by_columns else leaf.contiguous()
            for leaf, by_columns in zip(made[first:last], self._by_columns, strict=True)
        ]
        return (*made[:first], *state, *made[last:])

    def split(self, made: Sequence[Tensor]) -> tuple[Tensor, Any, Any, Any]:
        """Return what ``forward`` gives in its parts.

        outputs · the next state · what went into each layer · what is known afterwards:
        what came out of each layer, and what `ntm.fast.step.step` has found
        """
        a, b = 1 + self.carried, 1 + self.carried + len(self.layers)
        return made[0], made[1:a], made[a:b], made[b:]

    def _forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Parameters, inputs and state → the parts that `split` names."""
        seen, results = [], []

        def note(layer: nn.Module, arguments: tuple[Tensor], result: Tensor) -> None:
            seen.append(arguments[0])
            results.append(result)

        with self._watched(note):
            made, found = self._step(*tensors)
        return (*made, *seen, *results, *found)

    def _backward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Parameters, inputs, state, what is known, gradients of what `_step` gives.

        → the gradients of what came out of each layer, of the state, of the others
        """
        n = len(self.names)
        a = n + 1
        b, c = a + self.carried, a + self.carried + len(self.layers)
        d = len(tensors) - 1 - self.carried

        def again(
            state: tuple[Tensor, ...],
            results: tuple[Tensor, ...],
            others: tuple[Tensor, ...],
        ) -> Any:
            known = iter(results)
            named = dict(zip(self.names, tensors, strict=False))
            named |= zip(self.others, others, strict=True)

            def recall(layer: nn.Module, arguments: tuple[Tensor], _: Tensor) -> Any:
                known_result = arguments[0], layer.weight, next(known)
                return _LinearWithKnownOutput.apply(*known_result)  # type: ignore[no-untyped-call]

            with self._watched(recall):
                given = (*named.values(), tensors[n], *state)
                return self._step(*given, cache=tensors[c:d])[0]

        by_name = dict(zip(self.names, tensors, strict=False))
        others = tuple(by_name[name] for name in self.others)
        _made, pull = vjp(again, tensors[a:b], tensors[b:c], others)[:2]
        state, results, others = pull(tensors[d:])
        return (*results, *state, *others)

    def _step(
        self, *tensors: Tensor, cache: tuple[Tensor, ...] = ()
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        n = len(self.names)
        named = dict(
            zip((f"model.{name}" for name in self.names), tensors, strict=False)
        )
        state = with_tensors(self._structure, tensors[n + 1 :])
        outputs, state, found = functional_call(
            self._call, named, (tensors[n], state, cache)
        )
        return (outputs, *tensors_in(state)), found

    @contextmanager
    def _watched(self, hook: Callable[..., Any]) -> Iterator[None]:
        hooks = [m.register_forward_hook(hook) for m in self._modules.values()]
        try:
            yield
        finally:
            for handle in hooks:
                handle.remove()


def _is_linear(module: nn.Module) -> bool:
    """Return whether the module gives x W + b and nothing else."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def _require_alike(after: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    got, needs = ([(*t.shape[1:],) for t in tensors] for tensors in (after, before))
    if got != needs:
        raise ValueError(f"state: got the shapes {got} after a step, needs {needs}")


class _LinearWithKnownOutput(torch.autograd.Function):
    """A linear layer whose result is known: only the way back is left to compute."""

    generate_vmap_rule = True

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, result: Tensor) -> Tensor:
        return result.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        return gradient @ weight, None, gradient


class _Step(nn.Module):
    """Makes the fast step of a model callable with other parameters."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *arguments: Any) -> tuple[Tensor, Any, tuple[Tensor, ...]]:
        return step(self.model, *arguments)
