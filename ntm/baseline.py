"""What the machine is compared with: stacked LSTMs without any memory beside them."""

import torch
from torch import Tensor, nn

from ntm._checks import require_floating, require_whole
from ntm.controllers import LSTM, Carried
from ntm.machine import require_batch, require_sequence


class Baseline(nn.Module):
    """The paper's LSTM baseline: three layers on top of each other.

    Used as `ntm.machine.NTM` is: ``outputs, state = model(inputs, state=None)``, with
    logits out.

    Args:
        input_size: channels of the input.
        output_size: channels of the output.
        size: cells of a layer.
        layers: how many layers.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *Copying*.
    """

    def __init__(
        self, input_size: int, output_size: int, size: int = 256, layers: int = 3
    ):
        super().__init__()
        require_whole(1, input_size=input_size, output_size=output_size)
        require_whole(1, size=size, layers=layers)
        self.input_size = input_size
        self.output_size = output_size
        self.layers = LSTM(input_size, size, layers)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> Carried:
        """Return the learned state before the first step."""
        require_whole(1, batch_size=batch_size)
        return self.layers.initial_state(batch_size)

    def forward(
        self, inputs: Tensor, state: Carried | None = None
    ) -> tuple[Tensor, Carried]:
        """Return the outputs of a sequence, as logits, and the state after it.

        Args:
            inputs: ``(time, batch, input_size)``.
            state: what an earlier call returned; None begins anew.

        Returns:
            Logits ``(time, batch, output_size)`` and the next state.

        Raises:
            TypeError, ValueError: the argument, what it got and what it needs.
        """
        require_floating(inputs=inputs)
        require_sequence(inputs, self.input_size)
        if state is None:
            state = self.initial_state(inputs.shape[1])
        require_batch("state", state[0], inputs)
        outputs = []
        for x in inputs.unbind(0):
            y, state = self.step(x, state)
            outputs.append(y)
        return torch.stack(outputs), state

    def step(self, inputs: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Return the logits of one step and the next state.

        Args:
            inputs: ``(batch, input_size)``.
            state: that of the step before, or `initial_state`.
        """
        hidden, state = self.layers(inputs, state)
        return self.output(hidden), state
