"""What is said when a training does not fit in memory."""

import contextlib
from collections.abc import Iterator

import torch

from ntm.training.settings import Settings


class TooManySeedsError(ValueError):
    """More seeds than fit in memory."""


@contextlib.contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Say in one line that memory has run out, and what can be done about it.

    Raises:
        TooManySeedsError: in the place of what PyTorch raises then.
    """
    try:
        yield
    except RuntimeError as error:
        # What the CPU's allocator raises has no class of its own.
        ran_out = isinstance(error, torch.OutOfMemoryError)
        if not ran_out and "can't allocate memory" not in str(error):
            raise
        count = len(settings.seeds)
        fewer = f"fewer (--seeds 0:{count // 2})" if count > 1 else "a smaller batch"
        raise TooManySeedsError(
            f"seeds: got {count}, does not fit in memory; try {fewer}"
        ) from error
