"""The check under every exercise tells right from wrong, and says so."""

import pytest
import torch

from ntm.book.exercises import check


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


CASE = (torch.tensor([0.5, 1.0]),)


@pytest.mark.parametrize(
    ("yours", "shown", "count"),
    [
        (double, "[1.000 2.000]", 1),
        (lambda x: [1.0, 2.0], "[1.000 2.000]", 1),
        (lambda x: x, "[0.500 1.000]", 0),
        (lambda x: 2 * x[:1], "[1.000]", 0),
        (lambda x: torch.full((2,), torch.nan), "[nan nan]", 0),
        (lambda x: torch.tensor([-4e-4, -0.0]), "[0.000 0.000]", 0),  # no sign left
        (lambda x: x[5], "IndexError: ", 0),
    ],
)
def test_yours_stands_beside_spec(yours, shown: str, count: int, capsys) -> None:  # type: ignore[no-untyped-def]
    check(yours, double, CASE)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"case 1  yours: {shown}")
    assert second.startswith("        spec:  [1.000 2.000]")
    assert last == f"{count} of 1 agree"
    assert second.endswith("agree") == (count == 1)


def test_nothing_written_gives_nothing_away(capsys) -> None:  # type: ignore[no-untyped-def]
    check(lambda x: None, double, CASE, CASE)
    assert capsys.readouterr().out.splitlines() == [
        "case 1  yours: nothing yet",
        "case 2  yours: nothing yet",
        "0 of 2 agree",
    ]


def test_scalars_truths_and_counts_are_shown_as_they_are(capsys) -> None:  # type: ignore[no-untyped-def]
    check(lambda x: x, lambda x: x, (True,), (3,), (0.25,), (torch.tensor(False),))
    shown = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[0:-1:2]]
    assert shown == ["True", "3", "0.250", "False"]


def test_no_case_is_an_error() -> None:
    with pytest.raises(ValueError, match="cases: got none"):
        check(double, double)
