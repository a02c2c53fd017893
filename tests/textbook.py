"""The machine as a textbook would write it: eager, one equation a line, loops over heads.

Shares nothing with `ntm` but the names of the parameters, which come as a dictionary.  It is what
`ntm.machine` is tested against, and what its speed is measured against.
"""

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
Heads = list[Tensor]


def initial_state(
    p: Parameters, batch: int, locations: int
) -> tuple[Tensor, Heads, Heads, Heads, Heads]:
    memory = torch.stack([torch.stack([p["initial_row"]] * locations)] * batch)
    heads = len(p["initial_reads"])
    at_0 = torch.zeros(batch, locations, dtype=memory.dtype)
    at_0[:, 0] = 1
    reads = [torch.stack([row] * batch) for row in p["initial_reads"]]
    carried = []
    if "controller.initial_hidden" in p:
        for name in ("hidden", "cell"):
            carried.append(torch.stack([p[f"controller.initial_{name}"][0]] * batch))
    return memory, [at_0] * heads, [at_0] * heads, reads, carried


def step(
    p: Parameters, x: Tensor, state: tuple[Tensor, Heads, Heads, Heads, Heads]
) -> tuple[Tensor, tuple[Tensor, Heads, Heads, Heads, Heads]]:
    memory, writing, reading, reads, carried = state
    width, heads = memory.shape[-1], len(reads)
    seen = torch.cat([x, *reads], dim=1)
    if carried:
        hidden, cell = carried
        raw = torch.cat([seen, hidden], dim=1) @ p["controller.gates.0.weight"].T
        raw = raw + p["controller.gates.0.bias"]
        n = cell.shape[1]
        i, f, o = (torch.sigmoid(raw[:, k * n : (k + 1) * n]) for k in range(3))
        cell = f * cell + i * torch.tanh(raw[:, 3 * n :])
        hidden = o * torch.tanh(cell)
        carried = [hidden, cell]
    else:
        hidden = torch.tanh(
            seen @ p["controller.hidden.weight"].T + p["controller.hidden.bias"]
        )
    raw = hidden @ p["heads.linear.weight"].T + p["heads.linear.bias"]
    params = raw.chunk(heads, dim=1)
    focus = (params[0].shape[1] - 2 * width) // 2
    # Where to write, all of it before anything is written.
    writing = [
        attend(memory, w, t[:, :focus]) for w, t in zip(writing, params, strict=True)
    ]
    for w, t in zip(writing, params, strict=True):
        e = torch.sigmoid(t[:, focus : focus + width])
        memory = memory * (1 - w[:, :, None] * e[:, None, :])
    for w, t in zip(writing, params, strict=True):
        a = t[:, focus + width : focus + 2 * width]
        memory = memory + w[:, :, None] * a[:, None, :]
    reading = [
        attend(memory, w, t[:, focus + 2 * width :])
        for w, t in zip(reading, params, strict=True)
    ]
    reads = [(w[:, :, None] * memory).sum(dim=1) for w in reading]
    y = torch.cat([hidden, *reads], dim=1) @ p["output.weight"].T + p["output.bias"]
    return y, (memory, writing, reading, reads, carried)


def attend(memory: Tensor, previous: Tensor, raw: Tensor) -> Tensor:
    """Equations 5 to 9."""
    batch, locations, width = memory.shape
    key = raw[:, :width]
    beta = torch.log(1 + torch.exp(raw[:, width]))
    gate = 1 / (1 + torch.exp(-raw[:, width + 1]))
    kernel = torch.exp(raw[:, width + 2 : -1])
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    gamma = 1 + torch.log(1 + torch.exp(raw[:, -1]))

    lengths = memory.norm(dim=2) * key.norm(dim=1)[:, None]
    similarity = (memory * key[:, None, :]).sum(dim=2) / lengths
    content = torch.exp(beta[:, None] * similarity)
    content = content / content.sum(dim=1, keepdim=True)
    gated = gate[:, None] * content + (1 - gate[:, None]) * previous
    reach = kernel.shape[1] // 2
    shifted = torch.zeros(batch, locations, dtype=memory.dtype)
    for i in range(locations):
        for j in range(-reach, reach + 1):
            shifted[:, i] += gated[:, (i - j) % locations] * kernel[:, j + reach]
    powers = shifted ** gamma[:, None]
    return powers / powers.sum(dim=1, keepdim=True)
