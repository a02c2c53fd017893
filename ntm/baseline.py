"""What the machine is compared with: stacked LSTMs without any memory beside them."""

import torch
from torch import Tensor, nn

from ntm._checks import require_whole
from ntm.controllers import LSTM, Carried
from ntm.recurrent import Recurrent, require_channels


class Baseline(Recurrent[Carried]):
    """The paper's LSTM baseline: three layers on top of each other.

    Used as `ntm.machine.NTM` is: ``outputs, state = model(inputs, state=None)``, with
    logits out.

    Args:
        input_size: channels of the input.
        output_size: channels of the output.
        size: cells of a layer.
        layers: how many layers.
        device: where the parameters are.
        dtype: of the parameters, a floating-point type.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *How fast and how surely*.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        size: int = 256,
        layers: int = 3,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(
            {
                "input_size": input_size,
                "output_size": output_size,
                "size": size,
                "layers": layers,
            }
        )
        require_whole(1, size=size, layers=layers)
        if layers > 1000:
            raise ValueError(f"layers: got {str(layers)[:40]}, needs at most 1000")
        self.layers = LSTM(input_size, size, layers)
        self.output = nn.Linear(size, output_size)
        self.to(device=device, dtype=dtype)

    def initial_state(self, batch_size: int | None = None) -> Carried:
        """Return the learned state before the first step.

        Args:
            batch_size: how many sequences run side by side; None for a single one,
                whose tensors have no batch dimension.
        """
        if batch_size is None:
            return tuple(t[0] for t in self.initial_state(1))
        require_whole(1, batch_size=batch_size)
        return self.layers.initial_state(batch_size)

    def step(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Return the logits of one step and the next state.

        Args:
            inputs: ``(batch, input_size)``, or ``(input_size,)`` for a single sequence.
            state: that of the step before, or `initial_state`.

        Raises:
            ValueError: the inputs have another size.
        """
        require_channels(inputs, self.input_size)
        hidden, state = self.layers(inputs, state)
        return self.output(hidden), state
