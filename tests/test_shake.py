"""What `make shake` promises: it names the cells that a rounding error decides."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_notebooks import ROOT, write_notebook
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

sys.path.append(str(ROOT / "book" / "_tools"))
import shake


def shaken(function: Callable[..., Tensor], *inputs: Tensor, seed: int = 0) -> Tensor:
    with shake.Shaken(seed):
        return function(*inputs)


def test_a_cell_that_rounding_decides_is_named_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "uniform.ipynb"
    uniform = "import torch\nw = torch.softmax(torch.full((50,), 0.3).exp().log(), 0)\n"
    write_notebook(
        path,
        (uniform + "print(f'{w.max():.3f}')", "0.020\n"),
        (
            "print('most:', f'{w.max():.3f}')\nprint('at', int(w.argmax()))",
            "most: 0.020\nat 0\n",
        ),
        ("w[5] += 1e-3\nprint('at', int(w.argmax()))", "at 5\n"),
    )
    monkeypatch.setattr(shake, "WAYS", shake.WAYS[:1])
    monkeypatch.setattr(sys, "argv", ["shake.py", "--seed", "1", str(path)])
    with pytest.raises(SystemExit) as end:
        shake.main()
    said = capsys.readouterr().out.splitlines()
    first_line = "print('most:', f'{w.max():.3f}')"
    assert said[0] == f"{path}, code cell 2 ({first_line}), one thread:"
    assert said[1] == "    -at 0"
    assert said[2].startswith("    +at ")
    assert said[3].startswith(f"{path}, one thread: 1 of 3 cells changed")
    assert said[4:] == ["seed 1: 3 cells compared, 1 changed"]
    assert end.value.code == 1


x = torch.linspace(-2, 3, 50)
EXACT = {
    "times 1": lambda x: x * 1,
    "a half of twice as much": lambda x: (x + x) * 0.5,
    "plus 0": lambda x: x + torch.zeros_like(x),
    "a row": lambda x: torch.eye(10, dtype=x.dtype)[3] @ x.reshape(10, 5),
    "copies": lambda x: torch.cat([x[3:], x.flip(0)]).roll(2).clone(),
    "the larger": lambda x: torch.maximum(x, x.roll(1)),
    "a sum of ones": lambda x: (x > 0).to(x.dtype).sum(),
    "written": lambda x: x.clone().mul_(1).index_put_((torch.tensor(3),), x[0]),
    "a constant": lambda x: torch.full((7,), 0.1, dtype=x.dtype),
    "bits": lambda x: torch.randint(2, (50,)).to(x.dtype) * 0.25,
    "float16": lambda x: x.half().float(),
}
ROUNDED = {
    "a product": lambda x: x * 0.1,
    "a sum": lambda x: x.sum(),
    "an exponential": torch.exp,
    "written": lambda x: x.clone().mul_(0.3),
    "into another": lambda x: torch.exp(x, out=torch.empty_like(x)),
    "uniform": lambda x: torch.softmax((x * 0).add(0.3).log(), 0),
    "random": lambda x: torch.randn(50, generator=torch.Generator().manual_seed(3)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_stays(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain = EXACT[name](x.to(dtype))
    torch.manual_seed(0)
    assert torch.equal(shaken(EXACT[name], x.to(dtype)), plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ROUNDED)
def test_what_was_rounded_moves_by_last_places_alike_each_time(
    name: str, dtype: torch.dtype
) -> None:
    plain = ROUNDED[name](x.to(dtype))
    moved = [shaken(ROUNDED[name], x.to(dtype), seed=seed) for seed in (0, 0, 1, 2)]
    assert torch.equal(moved[0], moved[1])
    assert any(not torch.equal(other, moved[0]) for other in moved[2:])
    rounding = 10 * torch.finfo(plain.dtype).eps
    for other in moved:
        torch.testing.assert_close(other, plain, rtol=rounding, atol=rounding)


def test_a_sum_that_nearly_cancels_moves_by_its_own_error() -> None:
    """Its sign is a matter of rounding, and a last place would not change that."""
    x = torch.tensor([0.1, 0.2, -0.3]).repeat(100)
    signs = {shaken(torch.sum, x, seed=seed).sign().item() for seed in range(20)}
    assert signs == {-1.0, 1.0}


def test_gradients_move_too() -> None:
    layer, x = nn.Linear(5, 3), torch.rand(4, 5)
    layer(x).tanh().sum().backward()
    assert layer.weight.grad is not None
    plain = layer.weight.grad.clone()
    outputs = layer(x).tanh().sum()
    layer.zero_grad()
    with shake.Shaken(0):
        outputs.backward()
    assert not torch.equal(layer.weight.grad, plain)
    assert torch.allclose(layer.weight.grad, plain, atol=1e-6)


def test_whoever_traces_sees_only_what_is_there() -> None:
    def function(x: Tensor) -> Tensor:
        return x.tanh() * 0.1

    with shake.Shaken(0):
        graph = make_fx(function)(torch.ones(3))
    assert graph.code == make_fx(function)(torch.ones(3)).code
