"""The check that stands under every exercise: *yours* beside *spec*."""

from collections.abc import Callable
from typing import Any

import torch


def check(
    yours: Callable[..., Any], spec: Callable[..., Any], *cases: tuple[Any, ...]
) -> None:
    """Call both with the arguments of every case, and print what each of them gives.

    Numbers are printed to three decimals, and agree when they are within 1e-4.  As long
    as nothing is written, nothing is given away: ``spec`` is shown beside an attempt.

    Args:
        yours: the function that the exercise asks for; ``None`` means not written yet.
        spec: a function that gives what is asked for, by another way.
        cases: the arguments of each case, a tuple a case; at least one.
    """
    if not cases:
        raise ValueError("cases: got none, needs at least one tuple of arguments")
    agreed = 0
    for number, arguments in enumerate(cases, start=1):
        wanted = spec(*arguments)
        try:
            given = yours(*arguments)
            shown = "nothing yet" if given is None else _show(given)
            verdict = (
                "" if given is None else "agree" if _agree(given, wanted) else "DIFFER"
            )
        except Exception as error:  # a person is at work here: say what went wrong
            shown, verdict = f"{type(error).__name__}: {error}", "DIFFER"
        agreed += verdict == "agree"
        print(f"case {number}  yours: {shown}")
        if verdict:
            print(f"        spec:  {_show(wanted)}   {verdict}")
    print(f"{agreed} of {len(cases)} agree")


def _agree(given: Any, wanted: Any) -> bool:
    given, wanted = (torch.as_tensor(x, dtype=torch.float64) for x in (given, wanted))
    return given.shape == wanted.shape and torch.allclose(given, wanted, atol=1e-4)


def _show(value: Any) -> str:
    """Return a scalar, vector or matrix in a line, its fractions to three decimals."""
    numbers = torch.as_tensor(value)
    if numbers.dim() == 0 and not numbers.is_floating_point():
        return str(numbers.item())
    if numbers.dim() == 0:
        return f"{round(numbers.item(), 3) + 0.0:.3f}"  # and not -0.000
    return "[" + " ".join(_show(part) for part in numbers) + "]"
