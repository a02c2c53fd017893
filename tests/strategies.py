"""Random memories, weightings and heads for hypothesis, as nested lists of float64 numbers."""

import torch
from hypothesis import strategies as st
from torch import Tensor

locations = st.integers(1, 12)
widths = st.integers(1, 6)
batches = st.lists(st.integers(1, 3), max_size=2).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


def vectors(
    width: int, low: float = -10, high: float = 10
) -> st.SearchStrategy[list[float]]:
    return st.lists(numbers(low, high), min_size=width, max_size=width)


def matrices(n: int, width: int) -> st.SearchStrategy[list[list[float]]]:
    return st.lists(vectors(width), min_size=n, max_size=n)


def weightings(n: int) -> st.SearchStrategy[list[float]]:
    """Distributions over n locations: some smooth, some with exact zeros, some one-hot."""
    masses = st.lists(
        st.one_of(st.just(0.0), numbers(1e-6, 1)), min_size=n, max_size=n
    ).filter(any)
    return masses.map(lambda m: [x / sum(m) for x in m])


def kernels(n: int) -> st.SearchStrategy[list[float]]:
    return st.integers(0, (n - 1) // 2).flatmap(lambda reach: weightings(2 * reach + 1))


def tensor(values: list) -> Tensor:  # type: ignore[type-arg]
    return torch.tensor(values, dtype=torch.float64)
