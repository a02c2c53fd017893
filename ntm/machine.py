"""The Neural Turing Machine: controller, heads and memory as one recurrent network.

`NTM` is used as ``torch.nn.LSTM`` is: a sequence and a state go in, a sequence and a
state come out.  Nothing hides in the module: one step is a function of the parameters,
the state and the input, and no parameter depends on the number of locations.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ntm import memory as mechanics
from ntm._checks import require_whole
from ntm.addressing import Address, address
from ntm.controllers import CONTROLLERS, Carried
from ntm.heads import FIRST_GAIN, AddressParameters, HeadParameters, Heads
from ntm.recurrent import Recurrent, require_channels, tree_map


class Weightings(NamedTuple):
    """Where the heads were: for each its weighting, ``(batch, H, N)``."""

    write: Tensor
    read: Tensor


class State(NamedTuple):
    """All that a machine carries from one step to the next.

    memory ``(batch, N, W)`` · weightings, each ``(batch, H, N)`` · reads ``(batch, H,
    W)`` · controller, a tuple of tensors ``(batch, …)``.  Those of a single sequence
    have no batch dimension.
    """

    memory: Tensor
    weightings: Weightings
    reads: Tensor
    controller: Carried

    def detach(self) -> "State":
        """Return the same numbers, through which no gradient goes back.

        Between two pieces of a long sequence it cuts backpropagation short.
        """
        return tree_map(Tensor.detach, self)


class Trace(NamedTuple):
    """What happened in each step, all with time as the first dimension.

    write, read: an `Address` each, the four stages ``(time, batch, H, N)`` · params:
    what the controller told the heads · reads ``(time, batch, H, W)`` · memory
    ``(time, batch, N, W)`` after the step's write.
    """

    write: Address
    read: Address
    params: HeadParameters
    reads: Tensor
    memory: Tensor


class NTM(Recurrent[State]):
    """A controller with a memory that it reads and writes through heads.

    In each step the controller sees the input and what was read last; then the write
    heads change the memory, and the read heads read what it now holds.  The output is
    a linear function of the controller's output and these reads.

    The paper fixes no order of the two; written first, an input can be read at once.

    Before the first step every location holds the same learned row, and every head is
    at location 0.  The paper learns "bias values" for the first memory and does not say
    how many; often they are N × W.  One row for all ties no parameter to N, so that a
    trained machine runs with a larger memory unchanged.

    Parameters are drawn on the CPU in PyTorch's default type, whatever they then are,
    so that a seed gives the same machine on every device.

    Args:
        input_size: channels of the input.
        output_size: channels of the output.
        controller: ``"lstm"``, ``"feedforward"``, or a name of one's own (see
            `ntm.controllers.register`).
        controller_size: numbers the controller gives, and its LSTM cell holds.
        memory_locations: N, unless `initial_state` is asked for another.
        memory_width: its width, W.
        num_heads: H, the number of write heads and also of read heads.
        shift_range: R, the farthest a head can move in one step.
        device: where the parameters are.
        dtype: of the parameters, a floating-point type.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The controller and the whole machine*.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        controller: str = "lstm",
        controller_size: int = 100,
        memory_locations: int = 128,
        memory_width: int = 20,
        num_heads: int = 1,
        shift_range: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(
            {
                "input_size": input_size,
                "output_size": output_size,
                "controller": controller,
                "controller_size": controller_size,
                "memory_locations": memory_locations,
                "memory_width": memory_width,
                "num_heads": num_heads,
                "shift_range": shift_range,
            }
        )
        require_whole(
            1,
            controller_size=controller_size,
            memory_locations=memory_locations,
            memory_width=memory_width,
            num_heads=num_heads,
        )
        require_whole(0, shift_range=shift_range)
        names = " or ".join(f'"{name}"' for name in sorted(CONTROLLERS))
        if not isinstance(controller, str):
            raise TypeError(f"controller: got {controller!r}, needs {names}")
        if controller not in CONTROLLERS:
            raise ValueError(f'controller: got "{controller}", needs {names}')
        self.memory_locations = memory_locations
        self.memory_width = memory_width
        self.num_heads = num_heads
        self.shift_range = shift_range
        self._require_room_to_shift(memory_locations)
        read_size = num_heads * memory_width
        self.controller = CONTROLLERS[controller](
            input_size + read_size, controller_size
        )
        self.heads = Heads(controller_size, memory_width, num_heads, shift_range)
        self.output = nn.Linear(controller_size + read_size, output_size)
        self.initial_row = nn.Parameter(torch.empty(memory_width))
        self.initial_reads = nn.Parameter(torch.zeros(num_heads, memory_width))
        nn.init.xavier_uniform_(self.output.weight, gain=FIRST_GAIN)
        nn.init.uniform_(self.initial_row, -(memory_width**-0.5), memory_width**-0.5)
        self.to(device=device, dtype=dtype)

    def initial_state(
        self, batch_size: int | None = None, memory_locations: int | None = None
    ) -> State:
        """Return the state before the first step.

        Args:
            batch_size: how many sequences run side by side; None for a single one,
                whose tensors have no batch dimension.
            memory_locations: N; as given to the constructor unless said otherwise.

        Raises:
            ValueError: the argument, what it got and what it needs.
        """
        locations = self.memory_locations
        if memory_locations is not None:
            locations = memory_locations
        require_whole(1, memory_locations=locations)
        self._require_room_to_shift(locations)
        if batch_size is None:
            return tree_map(lambda t: t[0], self.initial_state(1, locations))
        require_whole(1, batch_size=batch_size)
        first = torch.zeros_like(self.initial_row[:1]).expand(locations)
        first = torch.cat([first[:1] + 1, first[1:]])
        # Two tensors: an exporter makes a single input of one that it is given twice.
        start = (first.expand(batch_size, self.num_heads, locations) for _ in range(2))
        # Laid out by columns, and so will all later ones be: sums over the width of all
        # locations then run side by side.
        columns = self.initial_row.unsqueeze(-1).repeat(batch_size, 1, locations)
        return State(
            memory=columns.mT,
            weightings=Weightings(*start),
            reads=self.initial_reads.expand(batch_size, -1, -1),
            controller=self.controller.initial_state(batch_size),
        )

    def trace(
        self, inputs: Tensor, state: State | None = None
    ) -> tuple[Tensor, State, Trace]:
        """Return what a call of the machine does, and a `Trace` of every step.

        Arguments and errors are those of a call.
        """
        state = self.begin(inputs, state)
        outputs, steps = [], []
        for x in inputs.unbind(0):
            y, state, step = self._step(x, state)
            outputs.append(y)
            steps.append(step)
        over_time = tree_map(lambda *tensors: torch.stack(tensors), *steps)
        return torch.stack(outputs), state, over_time

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the logits of one step and the next state.

        Args:
            inputs: ``(batch, input_size)``, or ``(input_size,)`` for a single sequence.
            state: that of the step before, or `initial_state`.

        Raises:
            ValueError: the inputs have another size.
        """
        require_channels(inputs, self.input_size)
        outputs, state, _ = self._step(inputs, state)
        return outputs, state

    def address(
        self, memory: Tensor, previous: Tensor, params: AddressParameters
    ) -> Address:
        """Return where heads look: a machine with another addressing has its own.

        Args:
            memory: ``(batch, N, W)``.
            previous: their weightings of the step before, ``(batch, H, N)``.
            params: what the controller tells them.

        Returns:
            An `Address`; its last stage is the weighting.
        """
        return address(memory, previous, *params)

    def _step(self, inputs: Tensor, state: State) -> tuple[Tensor, State, Trace]:
        seen = torch.cat([inputs, state.reads.flatten(-2)], dim=-1)
        hidden, carried = self.controller(seen, state.controller)
        params = self.heads(hidden)
        write = self.address(state.memory, state.weightings.write, params.write)
        memory = mechanics.write(state.memory, write.weighting, *params.change)
        read = self.address(memory, state.weightings.read, params.read)
        reads = mechanics.read(memory, read.weighting)
        outputs = self.output(torch.cat([hidden, reads.flatten(-2)], dim=-1))
        weightings = Weightings(write=write.weighting, read=read.weighting)
        return (
            outputs,
            State(memory, weightings, reads, carried),
            Trace(write, read, params, reads, memory),
        )

    def _state_of_one(self, state: State) -> State:
        memory = getattr(state, "memory", None)
        if isinstance(memory, Tensor) and memory.dim() > 1:
            return self.initial_state(1, memory.shape[-2])
        return self.initial_state(1)

    def _require_room_to_shift(self, locations: int) -> None:
        taps = 2 * self.shift_range + 1
        if taps > locations:
            raise ValueError(
                f"memory_locations: got {locations}, needs at least {taps} for "
                f"shifts from −{self.shift_range} to {self.shift_range}"
            )
