"""The tasks: where sequences and their answers come from, and what an answer costs.

One module a task.  A task is a small frozen dataclass that follows the protocol `Task`;
to add one, write its module and name it in `TASKS`.
"""

from collections.abc import Callable

from ntm.tasks.base import Batch, Task, cost_in_bits, wrong_bits
from ntm.tasks.copy import Copy

TASKS: dict[str, Callable[..., Task]] = {"copy": Copy}

__all__ = ["TASKS", "Batch", "Copy", "Task", "cost_in_bits", "wrong_bits"]
