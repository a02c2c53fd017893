"""Many small kernels as one: what a GPU has done once it does again without being told.

A step of many seeds is some hundred kernels, and a GPU is through with each of them
before Python has asked for the next.  A CUDA graph holds a whole way forward and back
and is asked for once.  On a GPU they are used unasked: `Trainer.replays` says so for
training, and `evaluate_seeds` goes through its sequences `in_pieces`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ntm.recurrent import tensors_in, with_tensors
from ntm.training.stacked import StackedModels

PIECE = 32
"""Steps of a sequence that `in_pieces` replays at once."""


class Replayed:
    """What a function makes of tensors of such shapes: recorded once, then replayed.

    The tensors that a call gives are overwritten by the next one.

    Args:
        function: launches the same kernels whatever numbers are in the tensors, and
            waits for none of them.
        tensors: on a GPU, as all later ones will be.
        pool: memory to share with other graphs, of which one runs at a time.
    """

    def __init__(
        self,
        function: Callable[..., Sequence[Tensor]],
        tensors: Sequence[Tensor],
        pool: Any = None,
    ):
        self._given = [tensor.detach().clone() for tensor in tensors]
        # Once without: libraries and compilers do at a first call what no graph holds.
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            function(*self._given)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._made = list(function(*self._given))

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        """Return what the function makes of other tensors of the same shapes."""
        for mine, given in zip(self._given, tensors, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._made


@torch.no_grad()
def in_pieces(
    stacked: StackedModels, parameters: Tensor, inputs: Tensor, **settings: int
) -> Tensor:
    """Return what ``stacked(…)`` returns, `PIECE` steps at a time; no way back.

    Args:
        stacked: of many seeds, compiled or not.
        parameters: ``(seeds, P)``, on a GPU.
        inputs: ``(time, seeds, batch, input_size)``.
        settings: passed on to the model's ``initial_state``, by name.
    """
    named, state = stacked.begin(parameters, inputs.shape[2], **settings)

    def run(inputs: Tensor, *leaves: Tensor) -> list[Tensor]:
        before = with_tensors(state, leaves)
        outputs, after = stacked.run(named, inputs, before)
        return [outputs, *tensors_in(after)]

    replayed: Replayed | None = None
    outputs, leaves = [], tensors_in(state)
    for piece in torch.split(inputs, PIECE):
        work: Callable[..., list[Tensor]] = run
        if len(piece) == PIECE:
            replayed = replayed or Replayed(run, [piece, *leaves])
            work = replayed
        made, *leaves = work(piece, *leaves)
        outputs.append(made.clone())
    return torch.cat(outputs)
