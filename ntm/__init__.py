"""The Neural Turing Machine, taken apart and tested.

Equation numbers throughout the package are those of Graves, Wayne and Danihelka,
*Neural Turing Machines* (2014), arXiv 1410.5401.  The paper's memory width M is written
W here, because ``memory`` is the matrix.
"""

from pathlib import Path
from typing import Any, TypeVar, overload

from ntm import addressing, memory
from ntm.baseline import Baseline
from ntm.machine import NTM
from ntm.recurrent import Recurrent

__all__ = ["NTM", "Baseline", "Recurrent", "addressing", "load", "memory", "save"]
__version__ = "0.2.0"

Model = TypeVar("Model", bound=Recurrent[Any])


@overload
def load(name: str | Path) -> NTM: ...


@overload
def load(name: str | Path, kind: type[Model]) -> Model: ...


def load(name: str | Path, kind: type[Recurrent[Any]] = NTM) -> Recurrent[Any]:
    """Return a trained machine, ready to run, on the CPU.

    To train it further, ``machine.requires_grad_(True)``.

    Args:
        name: of a shipped machine (see `ntm.pretrained.available`), or the folder of a
            run, or one that `save` has written.
        kind: what it has to be; `Recurrent` for either kind.

    Raises:
        ValueError: there is no such name or folder; says which are shipped.
        TypeError: it is of another kind.
        ntm.runs.files.FolderError: its files are damaged.

    Chapter: *How fast and how surely*.
    """
    from ntm import pretrained  # late, so that importing ntm costs no more than torch
    from ntm.runs import trained

    machine = trained.load_model(pretrained.folder(name))
    if not isinstance(machine, kind):
        got = type(machine).__name__
        raise TypeError(f"kind: got a folder with a {got}, needs {kind.__name__}")
    return machine


def save(
    folder: str | Path, machine: Recurrent[Any], card: dict[str, Any] | None = None
) -> None:
    """Write a machine that was trained with a loop of one's own; `load` returns it.

    Args:
        folder: is made if it is not there; a machine in it is replaced.
        machine: an `NTM`, a `Baseline`, or of a kind that was registered.
        card: whatever else there is to say of it, as JSON can hold it.

    Raises:
        TypeError, ValueError: the machine or the card is nothing that can be saved.
        ntm.runs.files.FolderError: the folder holds a run, or cannot be written.
    """
    from ntm.runs import trained

    trained.save_model(Path(folder), machine, card)
