"""Whole sequences of many seeds, compiled: the step, and the way back through it.

PyTorch's automatic way back keeps all that a step has computed, makes the gradient of
every weight anew in every step, and asks at every call whether the compiled code still
fits.  Here a step keeps its state and what went into and came out of each linear layer;
the rest is computed again on the way back.  The gradient of a weight waits until the
sequence is done and then is one product over all steps.

`ntm.training.stacked.StackedModels` without compilation is the plain form of the same,
and what this is tested against.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch._inductor
from torch import Tensor, nn
from torch._inductor.exc import InductorError
from torch.func import functional_call, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Function = Callable[..., tuple[Tensor, ...]]

OPTIONS = {
    # What is computed once a location is kept, not made again for each number in it.
    "realize_opcount_threshold": 20,
    "realize_reads_threshold": 3,
    # `Steps` sees to it that what comes in is always laid out alike.
    "size_asserts": False,
}


class CompilerError(RuntimeError):
    """PyTorch makes code, and there is nothing to compile it with."""


class Steps:
    """The step of a model for many seeds and its gradient, compiled for one shape.

    Where no gradients are recorded, only the step is compiled; ``backward`` is None.

    Args:
        call: a module that is called with the name of a method of its ``model``.
        named: the parameters, each ``(seeds, *shape)``.  Those whose names begin with
            ``initial``, or with a module's name and then ``initial``, count only before
            the first step; all others belong to layers ``nn.Linear``.
        inputs: of one step, ``(seeds, batch, input_size)``.
        state: that before the first step.

    Raises:
        ValueError: a parameter that is neither.
    """

    def __init__(
        self, call: nn.Module, named: dict[str, Tensor], inputs: Tensor, state: Any
    ):
        self._call = call
        self._modules = {
            name.removeprefix("model."): module
            for name, module in call.named_modules()
            if isinstance(module, nn.Linear)
        }
        self.layers = list(self._modules)
        self.names = [n for n in named if n.rpartition(".")[0] in self._modules]
        for name in named.keys() - set(self.names):
            if not name.rpartition(".")[2].startswith("initial"):
                raise ValueError(
                    f"{name}: got a parameter of its own, needs a linear layer's"
                )
        leaves, self._structure = pytree.tree_flatten(state)
        self.carried = len(leaves)
        self._by_columns = [not leaf.is_contiguous() for leaf in leaves]
        values = [named[name] for name in self.names]
        differentiable = torch.is_grad_enabled()
        self.backward: Function | None = None
        with torch.no_grad():
            tensors = [t.detach() for t in (*values, inputs, *leaves)]
            outputs, after, _, results = self.split(self._all_forward(*tensors))
            self.forward = _compiled(self._all_forward, tensors)
            assert [*map(_layout, after)] == [*map(_layout, leaves)]
            if differentiable:
                tensors += [*results, outputs, *after]
                gradients = self._all_backward(*tensors)[len(self.layers) :]
                assert [*map(_layout, gradients)] == [*map(_layout, leaves)]
                self.backward = _compiled(self._all_backward, tensors)

    def _all_forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._laid_out(vmap(self._forward)(*tensors), 1)

    def _all_backward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._laid_out(vmap(self._backward)(*tensors), len(self.layers))

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
        what came out of each layer, and what `ntm.fused.step` has found
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

        → the gradients of what came out of each layer, and of the state
        """
        a = len(self.names) + 1
        b, c = a + self.carried, a + self.carried + len(self.layers)
        d = len(tensors) - 1 - self.carried

        def again(state: tuple[Tensor, ...], results: tuple[Tensor, ...]) -> Any:
            known = iter(results)

            def recall(layer: nn.Module, arguments: tuple[Tensor], _: Tensor) -> Any:
                known_result = arguments[0], layer.weight, next(known)
                return _LinearWithKnownOutput.apply(*known_result)  # type: ignore[no-untyped-call]

            with self._watched(recall):
                return self._step(*tensors[:a], *state, cache=tensors[c:d])[0]

        _made, pull = vjp(again, tensors[a:b], tensors[b:c])[:2]
        state, results = pull(tensors[d:])
        return (*results, *state)

    def _step(
        self, *tensors: Tensor, cache: tuple[Tensor, ...] = ()
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        n = len(self.names)
        named = dict(
            zip((f"model.{name}" for name in self.names), tensors, strict=False)
        )
        state = pytree.tree_unflatten(tensors[n + 1 :], self._structure)
        outputs, state, found = functional_call(
            self._call, named, ("fused", tensors[n], state, cache)
        )
        return (outputs, *pytree.tree_leaves(state)), found

    @contextmanager
    def _watched(self, hook: Callable[..., Any]) -> Iterator[None]:
        hooks = [m.register_forward_hook(hook) for m in self._modules.values()]
        try:
            yield
        finally:
            for handle in hooks:
                handle.remove()


def unroll(
    steps: Steps, named: dict[str, Tensor], inputs: Tensor, state: Any
) -> Tensor:
    """Return the outputs of whole sequences: ``(time, seeds, batch, output_size)``.

    Differentiable once, by the parameters and the state, not by the inputs.
    """
    values = [named[name] for name in steps.names]
    leaves = pytree.tree_leaves(state)
    outputs: Tensor = _Sequence.apply(  # type: ignore[no-untyped-call]
        steps, torch.is_grad_enabled(), inputs, *values, *leaves
    )
    return outputs


def contiguous_like(tensor: Tensor) -> Tensor:
    """Return the same numbers, all rows or all columns of them side by side."""
    return (
        tensor
        if tensor.dim() > 1 and tensor.mT.is_contiguous()
        else tensor.contiguous()
    )


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
        ctx.steps, ctx.values, ctx.kept, ctx.last = steps, values, kept, state
        assert outputs is not None
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        steps, n = ctx.steps, len(ctx.steps.layers)
        assert steps.backward is not None  # gradients were recorded when it was made
        state = [torch.zeros_like(t) for t in ctx.last]
        pairs = []
        for g in reversed(gradient.contiguous().unbind(0)):
            x, before, seen, results = ctx.kept.pop()
            made = steps.backward(*ctx.values, x, *before, *results, g, *state)
            pairs.append((made[:n], seen))
            state = made[n:]
        found = {}
        for k, layer in enumerate(steps.layers):
            grads = torch.cat([grads[k] for grads, _ in pairs], dim=1)
            inputs = torch.cat([inputs[k] for _, inputs in pairs], dim=1)
            found[f"{layer}.weight"] = grads.mT @ inputs
            found[f"{layer}.bias"] = grads.sum(dim=1)
        return None, None, None, *(found[name] for name in steps.names), *state


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


def _layout(tensor: Tensor) -> list[tuple[int, int]]:
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return [(size, stride if size > 1 else 0) for size, stride in pairs]


def _compiled(function: Function, tensors: list[Tensor]) -> Function:
    # Not ``torch.compile``: its checks at each call take longer than a small step.
    graph = make_fx(lambda *arguments: function(*arguments))(*tensors)
    for node in graph.graph.nodes:
        node.meta.pop("val", None)  # the C++ wrapper takes it for an input
    # Called from C++, the many small loops of a step need no Python between them.
    options = OPTIONS | {"cpp_wrapper": tensors[0].device.type == "cpu"}
    try:
        compiled: Function = torch._inductor.compile(graph, [*tensors], options=options)
    except InductorError as error:
        if "InvalidCxxCompiler" not in str(error):
            raise
        raise CompilerError(
            "PyTorch found no C++ compiler: install one (g++), or do without: --eager, "
            "compiled=False"
        ) from error
    return compiled
