"""The one place that touches PyTorch's compiler, which is no public part of it."""

from collections.abc import Callable

import torch
from torch import Tensor

from ntm.training.stacked import CompilerError

Function = Callable[..., tuple[Tensor, ...]]

OPTIONS = {
    # What is computed once a location is kept, not made again for each number in it.
    "realize_opcount_threshold": 20,
    "realize_reads_threshold": 3,
    # `Steps` sees to it that what comes in is always laid out alike.
    "size_asserts": False,
}


def compile_for(function: Function, tensors: list[Tensor]) -> Function:
    """Return what the compiler makes of a function of such tensors."""
    options = OPTIONS | {
        # Called from C++, the many small loops of a step need no Python between them.
        "cpp_wrapper": tensors[0].device.type == "cpu"
    }
    try:
        # Late, because they take as long to import as all the rest of PyTorch.
        from torch import _inductor
        from torch.fx.experimental.proxy_tensor import make_fx

        # Not ``torch.compile``: its checks at each call take longer than a small step.
        graph = make_fx(lambda *arguments: function(*arguments))(*tensors)
        for node in graph.graph.nodes:
            node.meta.pop("val", None)  # the C++ wrapper takes it for an input
        made: Function = _inductor.compile(graph, [*tensors], options=options)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # its kinds are PyTorch's own affair, and change
        raise CompilerError(
            f"{_reason(error)}; or do without: --eager, compiled=False"
        ) from error
    return made


def _reason(error: Exception) -> str:
    """Return the line of what a compiler says that tells most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("InvalidCxxCompiler" in line for line in lines):
        return "PyTorch found no C++ compiler: install one (g++)"
    if any("Python.h" in line for line in lines):
        return "the headers of Python are not there: install them (python3-dev)"
    told = [line for line in lines if "error:" in line.lower()] or lines
    return f"PyTorch's compiler failed: {(told or [type(error).__name__])[0]}"
