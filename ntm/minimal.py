"""The Neural Turing Machine in one file, and a training that teaches it to copy.

Numbers like (2) are those of the equations in Graves, Wayne and Danihelka, 2014 (arXiv
1410.5401).  A memory has N rows of width W: ``(batch, N, W)``.  All that a head has to
do with is a row as well: a weighting ``(batch, 1, N)``, a vector ``(batch, 1, W)``.

Chapter: *The whole machine in one file*.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

State = tuple[Tensor, Tensor, Tensor, Tensor]


def read(memory: Tensor, weighting: Tensor) -> Tensor:
    """Return the rows of the memory, mixed as the weighting says."""
    # (2)  r = Σᵢ w(i) M(i)
    return weighting @ memory


def write(memory: Tensor, weighting: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Return the memory, changed where the weighting is."""
    # (3)  M̃(i) = M(i) ∘ (1 − w(i) e)
    erased = memory * (1 - weighting.mT @ erase)
    # (4)  M(i) = M̃(i) + w(i) a
    return erased + weighting.mT @ add


def address(memory: Tensor, previous: Tensor, told: Tensor) -> Tensor:
    """Return where a head looks, as it is told and from where it looked before."""
    width = memory.shape[-1]
    key, strength, gate, kernel, exponent = told.split([width, 1, 1, 3, 1], dim=-1)
    # (6)  K[k, M(i)] = k · M(i) / (‖k‖ ‖M(i)‖);  what is shorter counts as 0.001 long
    cosine = normalize(key, dim=-1, eps=1e-3) @ normalize(memory, dim=-1, eps=1e-3).mT
    # (5)  wᶜ(i) = exp(β K[k, M(i)]) / Σⱼ exp(β K[k, M(j)]),  β ≥ 0
    content = torch.softmax(softplus(strength) * cosine, dim=-1)
    # (7)  wᵍ(i) = g wᶜ(i) + (1 − g) wₜ₋₁(i),  0 ≤ g ≤ 1
    g = torch.sigmoid(gate)
    gated = g * content + (1 - g) * previous
    # (8)  w̃(i) = Σⱼ wᵍ(i − j) s(j),  j = −1, 0, 1,  i modulo N,  Σⱼ s(j) = 1
    back, stay, on = torch.softmax(kernel, dim=-1).split(1, dim=-1)
    shifted = back * gated.roll(-1, -1) + stay * gated + on * gated.roll(1, -1)
    # (9)  w(i) = w̃(i)ᵞ / Σⱼ w̃(j)ᵞ,  γ ≥ 1;  by logarithms, which never divide 0 by 0
    return torch.softmax((1 + softplus(exponent)) * (shifted + 1e-30).log(), dim=-1)


class NTM(nn.Module):
    """A feed-forward controller with a memory, a write head and a read head."""

    def __init__(self, inputs: int, outputs: int, size: int = 100, width: int = 20):
        super().__init__()
        self.told = [width + 6, width, width, width + 6]  # where, erase, add, where
        self.controller = nn.Linear(inputs + width, size)
        self.heads = nn.Linear(size, sum(self.told))
        self.output = nn.Linear(size + width, outputs)
        # Every row begins as this one, so that no parameter depends on N.
        self.first_row = nn.Parameter(torch.randn(width) / 10)
        self.first_read = nn.Parameter(torch.zeros(1, width))
        with torch.no_grad():  # loud is what goes through the memory: it learns sooner
            self.heads.weight[width + 6 : 3 * width + 6] *= 3
            self.output.weight *= 3

    def start(self, batch: int, locations: int) -> State:
        """Return the state before the first step: both heads are at location 0."""
        memory = self.first_row.expand(batch, locations, -1)
        at_0 = torch.eye(1, locations).to(memory).expand(batch, -1, -1)
        return memory, at_0, at_0, self.first_read.expand(batch, -1, -1)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the answer of one step, as logits, and the next state."""
        memory, writing, reading, r = state
        h = torch.tanh(self.controller(torch.cat([x, r], dim=-1)))
        to_write, erase, add, to_read = self.heads(h).split(self.told, dim=-1)
        writing = address(memory, writing, to_write)
        memory = write(memory, writing, torch.sigmoid(erase), add)
        reading = address(memory, reading, to_read)
        r = read(memory, reading)
        return self.output(torch.cat([h, r], dim=-1)), (memory, writing, reading, r)

    def forward(self, inputs: Tensor, locations: int = 128) -> Tensor:
        """Return the answers to ``(time, batch, channels)``, as logits."""
        state, answers = self.start(inputs.shape[1], locations), []
        for x in inputs.unsqueeze(-2):
            y, state = self.step(x, state)
            answers.append(y)
        return torch.stack(answers).squeeze(-2)


def copy(batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Return vectors of 8 random bits, a delimiter and silence; and the vectors."""
    vectors = torch.randint(0, 2, (length, batch, 8)).float()
    inputs = torch.zeros(2 * length + 1, batch, 9)
    inputs[:length, :, :8] = vectors
    inputs[length, :, 8] = 1
    return inputs, vectors


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    machine, updates = NTM(inputs=9, outputs=8), 2_000
    optimizer = torch.optim.Adam(machine.parameters())
    for update in range(updates):
        # The learning rate falls in the second half: what is found is not lost again.
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, 2 - 2 * update / updates)
        inputs, vectors = copy(batch=4, length=int(torch.randint(1, 21, ())))
        answer = machine(inputs)[-len(vectors) :]
        loss = nn.functional.binary_cross_entropy_with_logits(answer, vectors)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(machine.parameters(), 1.0)
        optimizer.step()
        if update % 100 == 99:
            print(f"{update + 1:5} updates: loss {loss:.3f}", flush=True)
    inputs, vectors = copy(batch=500, length=20)
    with torch.no_grad():
        wrong = ((machine(inputs)[-20:] > 0) != (vectors > 0)).sum() / 500
    print(f"{wrong:.3f} wrong bits of 160: {'' if wrong < 0.1 else 'not '}solved")
