"""What a controller tells its heads: the paper's section 3.3, the ranges of each part.

A head gets a few raw numbers from the controller and squashes each into the range that
its equation needs.  Nothing here touches the memory; `ntm.addressing` and `ntm.memory`
do that with what these functions give.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ntm._checks import require_axes, require_floating


class AddressParameters(NamedTuple):
    """Where a head is told to look, in the order in which `addressing.address` asks."""

    key: Tensor
    strength: Tensor
    gate: Tensor
    kernel: Tensor
    exponent: Tensor


class WriteParameters(NamedTuple):
    """What a write head is told to do there."""

    erase_vector: Tensor
    add_vector: Tensor


class HeadParameters(NamedTuple):
    """All that the controller tells its H write heads and H read heads in one step."""

    write: AddressParameters
    change: WriteParameters
    read: AddressParameters


def address_parameters_size(width: int, shift_range: int) -> int:
    """Return how many raw numbers they take: W + 1 + 1 + (2R + 1) + 1."""
    return width + 2 * shift_range + 4


def address_parameters(raw: Tensor, width: int) -> AddressParameters:
    """Return where to look, each part squashed into its range.

    k = raw;  β = softplus(raw) ≥ 0;  g = σ(raw) in (0, 1);  s = softmax(raw), sum 1;
    γ = 1 + softplus(raw) ≥ 1                                         (equations 5 to 9)

    The key stays as it is: only its direction counts in equation 6.  The paper leaves
    the squashing functions open, except for the softmax of the shifts.

    Args:
        raw: ``(…, W + 1 + 1 + (2R + 1) + 1)``, key first, exponent last.
        width: of the memory, W.

    Returns:
        Key ``(…, W)``, strength, gate and exponent ``(…, 1)``, kernel ``(…, 2R + 1)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The head*.
    """
    require_floating(raw=raw)
    require_axes("raw", raw, "W+2R+4")
    taps = raw.shape[-1] - width - 3
    if width < 1 or taps < 1 or taps % 2 == 0:
        raise ValueError(
            f"raw: got {raw.shape[-1]} numbers a head, needs {width} + 2R + 4 for "
            f"width {width} and shifts from −R to R"
        )
    key, strength, gate, kernel, exponent = torch.split(
        raw, [width, 1, 1, taps, 1], dim=-1
    )
    return AddressParameters(
        key=key,
        strength=functional.softplus(strength),
        gate=torch.sigmoid(gate),
        kernel=torch.softmax(kernel, dim=-1),
        exponent=1 + functional.softplus(exponent),
    )


def write_parameters(raw: Tensor) -> WriteParameters:
    """Return what to erase and what to add there.

    e = σ(raw) in (0, 1);  a = raw                                   (equations 3 and 4)

    Args:
        raw: ``(…, 2W)``, first the erase vector's numbers, then the add vector's.

    Returns:
        A `WriteParameters`: erase_vector and add_vector, both ``(…, W)``.

    Raises:
        TypeError, ValueError: the argument, what it got and what it needs.

    Chapter: *The head*.
    """
    require_floating(raw=raw)
    require_axes("raw", raw, "2W")
    if raw.shape[-1] % 2:
        raise ValueError(f"raw: got {raw.shape[-1]} numbers, needs 2W, an even number")
    erase_vector, add_vector = raw.chunk(2, dim=-1)
    return WriteParameters(torch.sigmoid(erase_vector), add_vector)


FIRST_GAIN = 1.4
"""How large the first weights of what goes through the memory are: of the erase and add
vectors and of the output, in Xavier's measure.

With PyTorch's, about a third as large, next to nothing goes through the memory at
first, and some seeds need many thousands of sequences to find out that it is there.
"""


class Heads(nn.Module):
    """H write heads and H read heads, told what to do by one linear layer.

    Args:
        controller_size: how many numbers the controller gives.
        width: of the memory, W.
        num_heads: how many of each kind, H, at most 1000.
        shift_range: R, the farthest a head can move in one step.

    Chapter: *The head*.
    """

    def __init__(
        self, controller_size: int, width: int, num_heads: int, shift_range: int
    ):
        super().__init__()
        if num_heads > 1000:  # each is made by itself, which would take for ever
            raise ValueError(
                f"num_heads: got {str(num_heads)[:40]}, needs at most 1000"
            )
        self.width = width
        self.num_heads = num_heads
        self._sizes = [address_parameters_size(width, shift_range), 2 * width]
        self._sizes.append(self._sizes[0])
        self.linear = nn.Linear(controller_size, num_heads * sum(self._sizes))
        # What is written begins loud, where it is written stays quiet.
        by_head = self.linear.weight.detach().view(num_heads, -1, controller_size)
        for change_rows in torch.split(by_head, self._sizes, dim=1)[1]:
            nn.init.xavier_uniform_(change_rows, gain=FIRST_GAIN)

    @torch.no_grad()
    def lean(self, forward: float, gate: float = 0.0) -> None:
        """Let the write heads lean to what they shall do before they learn otherwise.

        With no bias a kernel s begins at about even shares, and a head smears over the
        memory where it stands.  With 3 it puts nine tenths on the next location, and
        with −2 the gate takes an eighth of what the key finds and seven eighths of the
        weighting before: a head that walks from its first step on.

        Args:
            forward: what is added to the bias of the raw number of shift 1.
            gate: what is added to the bias of the raw number of the gate.

        Raises:
            ValueError: the heads cannot shift.

        Chapter: *Dynamic n-grams*.
        """
        taps = self._sizes[0] - self.width - 3
        if forward and taps == 1:
            raise ValueError("forward_bias: heads with a shift range of 0 take no step")
        bias = self.linear.bias.view(self.num_heads, -1)
        write, _, _ = torch.split(bias, self._sizes, dim=-1)
        write[:, self.width + 1] += gate
        if forward:
            write[:, self.width + 2 + taps // 2 + 1] += forward

    def forward(self, controller_output: Tensor) -> HeadParameters:
        """Return what each head is told: ``(…, controller_size)`` → ``(…, H, …)``."""
        raw = self.linear(controller_output).unflatten(-1, (self.num_heads, -1))
        write, changes, read = torch.split(raw, self._sizes, dim=-1)
        return HeadParameters(
            write=address_parameters(write, self.width),
            change=write_parameters(changes),
            read=address_parameters(read, self.width),
        )
