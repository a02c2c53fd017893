"""What `NTM` and `Baseline` have in common: a sequence and a state go in and come out.

A model of one's own that is a `Recurrent` is trained, evaluated and saved as they are.
Nothing here knows of memories or heads.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ntm._checks import require_floating, require_whole

State = TypeVar("State", bound=tuple[Any, ...])
Tree = TypeVar("Tree", bound="Tensor | tuple[Any, ...]")


class Recurrent(nn.Module, Generic[State]):
    """A model that goes through a sequence step by step, as ``torch.nn.LSTM`` does.

    A subclass defines `initial_state` and `step`.  The state is a tensor or a tuple,
    named or not, of states.

    Args:
        config: what the constructor was given, as JSON can hold it: a model is saved
            with it, and made again from it.
    """

    def __init__(self, config: dict[str, int | str]):
        super().__init__()
        require_whole(1, **{n: config[n] for n in ("input_size", "output_size")})
        self.config = config
        self.input_size = int(config["input_size"])
        self.output_size = int(config["output_size"])

    def initial_state(self, batch_size: int | None = None) -> State:
        """Return the state before the first step.

        Args:
            batch_size: how many sequences run side by side; None for a single one,
                whose tensors have no batch dimension.
        """
        raise NotImplementedError

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits of one step and the next state.

        Args:
            inputs: ``(batch, input_size)``, or ``(input_size,)`` for a single sequence.
            state: that of the step before, or `initial_state`.
        """
        raise NotImplementedError

    def forward(
        self, inputs: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return the outputs of a sequence, as logits, and the state after it.

        Args:
            inputs: ``(time, batch, input_size)``, or ``(time, input_size)`` for a
                single sequence.
            state: what an earlier call returned; None begins anew.

        Returns:
            Logits ``(time, batch, output_size)``, or ``(time, output_size)``, and the
            next state.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        state = self.begin(inputs, state)
        outputs = []
        for x in inputs.unbind(0):
            y, state = self.step(x, state)
            outputs.append(y)
        return torch.stack(outputs), state

    if TYPE_CHECKING:  # nn.Module's own gives Any
        __call__ = forward

    def begin(self, inputs: Tensor, state: State | None) -> State:
        """Check the inputs of a sequence, and return the state to begin with.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        require_floating(inputs=inputs)
        shape, size = tuple(inputs.shape), self.input_size
        if len(shape) not in (2, 3) or 0 in shape or shape[-1] != size:
            raise ValueError(
                f"inputs: got shape {shape}, needs (time, batch, {size}) or "
                f"(time, {size}), each at least 1"
            )
        like = next(self.parameters())
        require_alike("inputs", inputs, like)
        batch = shape[1:-1]
        if state is None:
            return self.initial_state(*batch)
        require_state("state", state, self._state_of_one(state), batch, like)
        return state

    def _state_of_one(self, state: State) -> State:
        """Return a batch of one with the structure that this state should have."""
        return self.initial_state(1)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as the constructor does."""
        fresh = type(self)(**self.config)  # type: ignore[arg-type]
        self.load_state_dict(fresh.state_dict())

    def extra_repr(self) -> str:
        """Return what the constructor was given, for ``print(model)``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items())


def require_channels(inputs: Tensor, size: int) -> None:
    """Raise ``ValueError`` unless the inputs of a step are ``(…, size)``."""
    if tuple(inputs.shape[-1:]) != (size,):
        raise ValueError(f"inputs: got shape {tuple(inputs.shape)}, needs (…, {size})")


def tree_map(function: Callable[..., Tensor], first: Tree, *others: Tree) -> Tree:
    """Return a tree of tensors and tuples with ``function`` of the trees' tensors."""
    if isinstance(first, Tensor):
        return function(first, *others)  # type: ignore[return-value]
    trees = zip(first, *others, strict=True)
    parts = [tree_map(function, *tree) for tree in trees]
    make = getattr(type(first), "_make", type(first))  # a named tuple's, or tuple
    made: Tree = make(parts)
    return made


def tensors_in(tree: Any) -> list[Tensor]:
    """Return all tensors of a tree, in their order."""
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in tree for tensor in tensors_in(part)]


def with_tensors(tree: Tree, tensors: Iterable[Tensor]) -> Tree:
    """Return a tree of this structure with these tensors, in the order of its own."""
    left = iter(tensors)
    return tree_map(lambda _: next(left), tree)


def require_state(
    name: str, state: Any, needed: Any, batch: tuple[int, ...], like: Tensor
) -> None:
    """Raise unless a state is a batch of what is needed, ``like`` the parameters.

    Args:
        name: of the state, or of the part.
        state: what was given.
        needed: a state with batch size 1.
        batch: ``(batch,)``, or ``()`` for a sequence without a batch dimension.
        like: has the dtype and the device that are needed.
    """
    if isinstance(needed, Tensor):
        require_floating(**{name: state})
        got, shape = tuple(state.shape), (*batch, *needed.shape[1:])
        if got != shape:
            several = f"of batch size {batch[0]}" if batch else "without a batch"
            raise ValueError(
                f"{name}: got a tensor of shape {got}, needs {shape} to match inputs "
                f"{several}"
            )
        require_alike(name, state, like)
        return
    if not isinstance(state, tuple) or len(state) != len(needed):
        kind, kind_needed = type(state).__name__, type(needed).__name__
        size = f" of {len(state)}" if isinstance(state, tuple) else ""
        raise TypeError(
            f"{name}: got {kind}{size}, needs {kind_needed} of {len(needed)}"
        )
    fields = getattr(needed, "_fields", range(len(needed)))
    for field, part, needed_part in zip(fields, state, needed, strict=True):
        where = f"{name}[{field}]" if isinstance(field, int) else f"{name}.{field}"
        require_state(where, part, needed_part, batch, like)


def require_alike(name: str, tensor: Tensor, like: Tensor) -> None:
    """Raise ``TypeError`` for another dtype, ``ValueError`` for another device."""
    kind = like.device.type
    if tensor.dtype != like.dtype and not torch.is_autocast_enabled(kind):
        raise TypeError(
            f"{name}: got {tensor.dtype}, needs {like.dtype} as the parameters are"
        )
    if tensor.device != like.device:
        raise ValueError(
            f"{name}: got a tensor on {tensor.device}, needs {like.device}, where the "
            "parameters are"
        )
