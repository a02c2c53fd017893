"""A run on disk: it can be stopped at any moment, even by force, and goes on later.

The folder holds ``settings.json``, with which a run begins, ``curve.csv`` as it grows,
``checkpoint.safetensors`` as the last good state of all seeds, and at the end the
trained machine of one seed, as `ntm.runs.trained` has it.
"""

import contextlib
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.runs import files, provenance, trained
from ntm.runs.files import FolderError
from ntm.runs.selection import how_chosen, select
from ntm.tasks.base import require_consistent
from ntm.training.evaluation import Result, Trial, evaluate_all, worth_compiling
from ntm.training.settings import MODELS, Settings
from ntm.training.trainer import Evaluation, Stopped, Trainer, solved_after

SETTINGS, CHECKPOINT = "settings.json", "checkpoint.safetensors"
_BEFORE_IT_BEGINS = {files.LOCK, f"{SETTINGS}.part"} | {
    name + part
    for name in (CHECKPOINT, files.PREVIOUS_STAGE, files.PREVIOUS_STAGE_CURVE)
    for part in ("", ".part")
}
"""What is there before ``settings.json``: a start that was killed leaves no more."""
PARTS = "parts"
"""The folder of the runs of fewer seeds into which `ntm.runs.processes` divides one."""


class TooManySeedsError(ValueError):
    """More seeds than fit in memory."""


class Run:
    """A training and the folder that keeps it; `start` or `resume` one.

    Args:
        folder: where it is kept.
        settings: all choices there are.
        device: where the arithmetic is done.
        compiled: whether steps run through the compiler.

    Raises:
        TooManySeedsError: the seeds do not fit in memory.

    Chapter: *Training*.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        device: torch.device | str = "cpu",
        compiled: bool = True,
    ):
        self.folder = folder
        self.settings = settings
        with _fitting(settings):
            self._trials = default_trials(settings)
            self.training = Trainer(settings, device, compiled)
        self.curve: list[Evaluation] = []
        self.seconds = 0.0

    @classmethod
    def start(
        cls,
        folder: Path,
        settings: Settings,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        init_from: Path | None = None,
    ) -> "Run":
        """Return a new run in a folder that is empty or not there yet.

        Args:
            folder: where it is kept.
            settings: all choices there are.
            device: where the arithmetic is done.
            compiled: whether steps run through the compiler.
            init_from: a finished run of the same seeds; the new one begins with the
                machines and the streams of sequences with which that one ended.

        Raises:
            FolderError: the folder holds something or cannot be written, or the other
                run is not finished or does not fit.
        """
        with _fitting(settings):
            default_trials(settings)  # what cannot be judged is not trained
        _make_folder(folder)
        with files.locked(folder):
            _make_folder(folder)  # nobody has begun in it meanwhile
            for name in _BEFORE_IT_BEGINS - {files.LOCK}:
                (folder / name).unlink(missing_ok=True)
            run = cls(folder, settings, device, compiled)
            if init_from is not None:
                run._init_from(init_from)
            write_settings(folder, settings)  # last: without it there is no run
        return run

    @classmethod
    def resume(
        cls,
        folder: Path,
        device: torch.device | str = "cpu",
        compiled: bool = True,
    ) -> "Run":
        """Return the run in a folder, as its last checkpoint left it.

        The device need not be the one with which it began.

        Raises:
            FolderError: what is missing, damaged or does not fit; or the run is divided
                among processes, which `ntm.runs.processes.shares` puts together.
        """
        settings = read_settings(folder)
        if (folder / PARTS).exists():
            raise FolderError(
                f"{folder}: is divided among processes; `ntm resume` puts it together"
            )
        path = folder / CHECKPOINT
        has_begun = path.exists()
        if has_begun:
            tensors, note = files.read_checkpoint(path)
            _require_fit(path, tensors, settings)
        run = cls(folder, settings, device, compiled)
        if has_begun:
            try:
                run.training.load_state_dict(tensors)
                run.seconds = float(note["seconds"])
                run.training.stopped = [Stopped(*row) for row in note["stopped"]]
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                what = files.first_line(error)
                raise FolderError(f"{path}: does not fit the run: {what}") from error
        # What came after the checkpoint will come again.
        if (folder / files.CURVE).exists():
            rows = files.read_curve(folder / files.CURVE)
            run.curve = [r for r in rows if r.sequences <= run.training.sequences]
        return run

    @staticmethod
    def is_in(folder: Path, settings: Settings) -> bool:
        """Return whether a folder holds a run with these settings."""
        try:
            return read_settings(folder) == settings
        except FolderError:
            return False

    def _init_from(self, first: Path) -> None:
        card = files.read_json(first / files.CARD)
        curve = files.read_curve(first / files.CURVE)
        ended, _ = files.read_checkpoint(first / CHECKPOINT)
        names = ("size_rng", "data_rngs", "active")
        try:
            if card["settings"]["seeds"] != list(self.settings.seeds):
                raise ValueError(f"seeds: got {list(self.settings.seeds)}")
            begin = {name: torch.zeros_like(ended[name]) for name in ended}
            begin |= {name: ended[name] for name in names}
            begin |= dict.fromkeys(("parameters", "ema"), ended["ema"])
            self.training.load_state_dict(begin)
        except (KeyError, ValueError) as error:
            raise FolderError(f"{first}: does not fit this run: {error}") from error
        files.write_json(self.folder / files.PREVIOUS_STAGE, card)
        files.write_curve(self.folder / files.PREVIOUS_STAGE_CURVE, curve)
        self.save_checkpoint()

    def __iter__(self) -> Iterator[list[Evaluation]]:
        """Train to the end; give the curve's new rows once they are safely on disk.

        Raises:
            FolderError: something could not be written; the last checkpoint is good.
                Or another process trains this run.
            TooManySeedsError: the seeds do not fit in memory.
        """
        with _fitting(self.settings), files.locked(self.folder):
            yield from self._train()

    def _train(self) -> Iterator[list[Evaluation]]:
        files.write_curve(self.folder / files.CURVE, self.curve)
        before = self.seconds - time.monotonic()
        for rows in self.training:
            self.curve += rows
            self.seconds = before + time.monotonic()
            files.append_curve(self.folder / files.CURVE, rows)
            self.save_checkpoint()
            yield rows
        if not (self.folder / files.CARD).exists():
            tried = (self.folder / files.TRIALS).exists()
            self._select([] if tried else self._trials)
        else:
            self._mend()

    def _mend(self) -> None:
        """Write the weights that the card means again, if they are not whole."""
        card, settings = trained.read_card(self.folder)
        try:
            trained.load(self.folder)
        except FolderError:
            if settings != self.settings:
                raise
            model = self.machine(card["seed"])
            trained.save(self.folder, dict(model.named_parameters()), card)

    def save_checkpoint(self) -> None:
        """Write all that is needed to go on, in the place of the last checkpoint."""
        note = {"seconds": self.seconds, "stopped": self.training.stopped}
        files.write_checkpoint(
            self.folder / CHECKPOINT, self.training.state_dict(), note
        )

    def select_seed(
        self,
        trials: Sequence[Trial],
        sequences: int = 100,
        give_up: float = 1.0,
        seeds: Collection[int] | None = None,
    ) -> dict[int, list[Result]]:
        """Try the seeds, keep the machine of the best one and write its card.

        Best is the seed with the lowest error rate where all were tried; the rule is
        that of `ntm.runs.selection.select`.  Results are added to those of earlier
        calls, in ``trials.csv``; one at the same size and with the same locations
        takes the place of the old one.

        Args:
            trials: sizes, and how many memory locations; easier ones first.
            sequences: how many at each size.
            give_up: a seed with a larger share of its bits wrong is not tried where it
                is no easier (see `ntm.training.evaluation.evaluate_all`).
            seeds: those to try; all unless said otherwise.

        Returns:
            All results of all seeds.

        Raises:
            ValueError: a trial that cannot be, or a seed that the run does not have.
            FolderError: something could not be written, or another process is at it.
        """
        wanted = self.settings.seeds if seeds is None else seeds
        for seed in wanted:
            if seed not in self.settings.seeds:
                raise ValueError(f"seeds: got {seed}, needs one of the run's")
        with files.locked(self.folder):
            return self._select(trials, sequences, give_up, wanted)

    def _select(
        self,
        trials: Sequence[Trial],
        sequences: int = 100,
        give_up: float = 1.0,
        seeds: Collection[int] | None = None,
    ) -> dict[int, list[Result]]:
        """Do what `select_seed` does, for a caller that holds the folder's lock."""
        wanted = self.settings.seeds if seeds is None else seeds
        results = self._try_all(wanted, trials, sequences, give_up)
        files.write_trials(self.folder / files.TRIALS, results)
        self._keep_best(results)
        return results

    def _try_all(
        self,
        seeds: Collection[int],
        trials: Sequence[Trial],
        sequences: int,
        give_up: float,
    ) -> dict[int, list[Result]]:
        """Return all results of all seeds, old and new."""
        before = files.read_trials(self.folder / files.TRIALS)
        results = {seed: before.get(seed, []) for seed in self.settings.seeds}
        training = self.training
        compiled = training.stacked.compiled and worth_compiling(
            self.settings.make_model(0), training.task, trials, sequences, len(seeds)
        )
        for seed in sorted(set(seeds)):
            results[seed] = evaluate_all(
                self.machine(seed).to(training.device),
                training.task,
                trials,
                sequences,
                give_up,
                results[seed],
                training.stacked if compiled else None,
            )
        return results

    def _keep_best(self, results: dict[int, list[Result]]) -> None:
        """Write the machine of the best seed, and its card."""
        selection = select(results, self.training.task)
        best = selection.seed
        card = {
            "task": self.settings.task,
            "seed": best,
            "chosen": how_chosen(selection, len(results)),
            "settings": self.settings.to_json(),
            "sequences": self.training.sequences,
            "seconds": round(self.seconds, 1),
            "device": provenance.device_name(self.training.device),
            "threads": torch.get_num_threads(),
            "versions": provenance.versions(),
            "commit": provenance.commit(),
            "solved": {str(s): n for s, n in solved_after(self.curve).items()},
            "stopped": [row._asdict() for row in self.training.stopped],
            "results": [result.to_json() for result in results[best]],
        }
        if (self.folder / files.CARD).exists():
            # How it was trained does not change with where it is tried.
            old = files.read_json(self.folder / files.CARD)
            how = ("device", "threads", "versions", "commit")
            card |= {name: old[name] for name in how if name in old}
        if (self.folder / files.PREVIOUS_STAGE).exists():
            card["first"] = files.read_json(self.folder / files.PREVIOUS_STAGE)
        row = self.training.ema[self.settings.seeds.index(best)]
        trained.save(self.folder, self.training.stacked.named(row), card)

    def machine(self, seed: int) -> Recurrent[Any]:
        """Return the machine of one seed, its parameters averaged, on the CPU."""
        row = self.settings.seeds.index(seed)
        weights = self.training.stacked.named(self.training.ema[row])
        model = self.settings.make_model(seed)
        model.load_state_dict({name: w.detach().cpu() for name, w in weights.items()})
        return model


def read_settings(folder: Path) -> Settings:
    """Return the settings of a run.

    Raises:
        FolderError: they are missing, damaged or impossible.
    """
    path = folder / SETTINGS
    values = files.read_json(path)
    try:  # those of format 1 stand alone
        return Settings.from_json(values.get("settings", values))
    except (TypeError, ValueError) as error:
        what = files.first_line(error)
        raise FolderError(f"{path}: {what}{files.origin(values)}") from error


def write_settings(folder: Path, settings: Settings) -> None:
    """Write the settings of a run, which makes the folder one."""
    values = files.stamp() | {"settings": settings.to_json()}
    files.write_json(folder / SETTINGS, values)


def _require_fit(path: Path, tensors: dict[str, Tensor], settings: Settings) -> None:
    """Refuse what does not fit before anything is as large as the settings say."""
    with torch.device("meta"):
        parameters = settings.make_model(0).parameters()
    needs = (len(settings.seeds), sum(p.numel() for p in parameters))
    got = tuple(tensors["parameters"].shape) if "parameters" in tensors else "nothing"
    if got != needs:
        raise FolderError(
            f"{path}: does not fit the run: parameters: got {got}, needs {needs}"
        )


def remove_unlearned(folder: Path) -> None:
    """Remove the folder of a run that has no checkpoint yet, and nothing of others."""
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    if names <= {SETTINGS, files.CURVE, files.LOCK}:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _fitting(settings: Settings) -> Iterator[None]:
    """Say in one line that memory has run out, and what can be done about it."""
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if {path.name for path in folder.iterdir()} - _BEFORE_IT_BEGINS:
            what = "another run" if (folder / SETTINGS).exists() else "other files"
            raise FolderError(
                f"{folder}: holds {what}; resume that run or choose another folder"
            )
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror}") from error


def default_trials(settings: Settings) -> list[Trial]:
    """Return where the seeds of a run are compared: where its task says.

    Raises:
        ValueError: the task does not give there what it says it gives.
    """
    task = settings.make_task()
    has_memory = issubclass(MODELS[settings.model], NTM)
    sizes = task.trials(settings.memory_locations if has_memory else None)
    require_consistent(task, sizes)
    return [Trial(size) for size in sizes]
