"""A run on disk: it can be stopped at any moment, even by force, and goes on later.

The folder holds ``settings.json`` from the beginning, ``curve.csv`` as it grows,
``checkpoint.safetensors`` as the last good state of all seeds, and at the end the
trained machine of one seed, as `ntm.runs.files` has it.
"""

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ntm.runs import files, provenance, room, trained
from ntm.runs.files import FolderError
from ntm.runs.processes import ALONE, Worker
from ntm.tasks.base import require_consistent
from ntm.training.evaluation import Result, Trial, evaluate_all, worth_compiling
from ntm.training.settings import Settings
from ntm.training.trainer import Evaluation, Stopped, solved_after

SETTINGS, CHECKPOINT = "settings.json", "checkpoint.safetensors"


class Run:
    """A training and the folder that keeps it; `start` or `resume` one.

    Args:
        folder: where it is kept.
        settings: all choices there are.
        device: where the arithmetic is done.
        compiled: whether steps run through the compiler.
        worker: which of several processes this is; all of them do the same with the
            run, each trains its share of the seeds, and the first writes.

    Chapter: *Training*.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        worker: Worker = ALONE,
    ):
        self.folder = folder
        self.settings = settings
        self.worker = worker
        self._where = (device, compiled, worker)
        self._trials = default_trials(settings)
        with room.enough(settings, *self._where):
            self.training = worker.training(settings, device, compiled)
        self.curve: list[Evaluation] = []
        self.seconds = 0.0

    @classmethod
    def start(
        cls,
        folder: Path,
        settings: Settings,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        first: Path | None = None,
        worker: Worker = ALONE,
    ) -> "Run":
        """Return a new run in a folder that is empty or not there yet.

        Args:
            folder: where it is kept.
            settings: all choices there are.
            device: where the arithmetic is done.
            compiled: whether steps run through the compiler.
            first: a finished run of the same seeds; the new one begins with the
                machines and the streams of sequences with which that one ended.
            worker: which of several processes this is.

        Raises:
            FolderError: the folder holds something or cannot be written, or the first
                run is not finished or does not fit.
            ValueError: there are fewer seeds than workers, or more than fit in memory.
        """
        worker.shares(settings.seeds)  # refuses too few, before anything is made
        default_trials(settings)  # what cannot be judged is not trained
        room.require(settings, device, compiled, worker)
        if worker.is_main:
            _make_folder(folder)
        run = cls(folder, settings, device, compiled, worker)
        if first is not None:
            run._warm_start(first)
        if worker.is_main:
            files.write_json(folder / SETTINGS, settings.to_json())
        return run

    @classmethod
    def resume(
        cls,
        folder: Path,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        worker: Worker = ALONE,
    ) -> "Run":
        """Return the run in a folder, as its last checkpoint left it.

        Device and workers need not be those with which it began.

        Raises:
            FolderError: what is missing, damaged or does not fit.
        """
        try:
            settings = Settings.from_json(files.read_json(folder / SETTINGS))
        except (TypeError, ValueError) as error:
            raise FolderError(f"{folder / SETTINGS}: {error}") from error
        run = cls(folder, settings, device, compiled, worker)
        path = folder / CHECKPOINT
        if path.exists():
            try:
                tensors = files.read_tensors(path)
                run.training.load_state_dict(worker.scatter(tensors, settings.seeds))
                note = files.read_metadata(path)
                run.seconds = float(note["seconds"])
                run.training.stopped = [Stopped(*row) for row in note["stopped"]]
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise FolderError(f"{path}: does not fit the run: {error}") from error
        # What came after the checkpoint will come again.
        if (folder / files.CURVE).exists():
            rows = files.read_curve(folder / files.CURVE)
            run.curve = [r for r in rows if r.sequences <= run.training.sequences]
        return run

    @staticmethod
    def is_in(folder: Path, settings: Settings) -> bool:
        """Return whether a folder holds a run with these settings."""
        try:
            values = files.read_json(folder / SETTINGS)
        except FolderError:
            return False
        return values == settings.to_json()

    def _warm_start(self, first: Path) -> None:
        card = files.read_json(first / files.CARD)
        curve = files.read_curve(first / files.CURVE)
        ended = files.read_tensors(first / CHECKPOINT)
        names = ("size_rng", "data_rngs", "active")
        try:
            if card["settings"]["seeds"] != list(self.settings.seeds):
                raise ValueError(f"seeds: got {list(self.settings.seeds)}")
            begin = {name: torch.zeros_like(ended[name]) for name in ended}
            begin |= {name: ended[name] for name in names}
            begin |= dict.fromkeys(("parameters", "ema"), ended["ema"])
            self.training.load_state_dict(
                self.worker.scatter(begin, self.settings.seeds)
            )
        except (KeyError, ValueError) as error:
            raise FolderError(f"{first}: does not fit this run: {error}") from error
        if self.worker.is_main:
            files.write_json(self.folder / files.PREVIOUS_STAGE, card)
            files.write_curve(self.folder / files.PREVIOUS_STAGE_CURVE, curve)
        self.save_checkpoint()

    def __iter__(self) -> Iterator[list[Evaluation]]:
        """Train to the end; give the curve's new rows once they are safely on disk.

        Raises:
            FolderError: something could not be written; the last checkpoint is good.
                Or another process trains this run.
            RoomError: there is not memory enough; if it ran out before there was a
                checkpoint, the folder is gone.
        """
        if not self.training.finished:
            room.require(self.settings, *self._where)
        try:
            with room.enough(self.settings, *self._where), self._locked():
                yield from self._train()
        except room.RoomError:
            if not (self.folder / CHECKPOINT).exists():
                self._remove()
            raise

    def _train(self) -> Iterator[list[Evaluation]]:
        if self.worker.is_main:
            files.write_curve(self.folder / files.CURVE, self.curve)
        before = self.seconds - time.monotonic()
        for rows in self.training:
            self.curve += rows
            self.seconds = before + time.monotonic()
            if self.worker.is_main:
                files.append_curve(self.folder / files.CURVE, rows)
            self.save_checkpoint()
            yield rows
        has_card, *_ = self.worker.all_gather_json((self.folder / files.CARD).exists())
        if not has_card:
            self.choose(self._trials)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        """Only the worker that writes holds the lock."""
        if self.worker.is_main:
            return files.locked(self.folder)
        return contextlib.nullcontext()

    def _remove(self) -> None:
        """Leave the place to a run with fewer seeds."""
        for name in (SETTINGS, files.CURVE, files.LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def save_checkpoint(self) -> None:
        """Write all that is needed to go on, in the place of the last checkpoint."""
        tensors = self.worker.gather(self.training, self.settings.seeds)
        note = {"seconds": self.seconds, "stopped": self.training.stopped}
        if self.worker.is_main:
            files.write_tensors(self.folder / CHECKPOINT, tensors, note)

    def choose(
        self,
        trials: Sequence[Trial],
        sequences: int = 100,
        give_up: float = 1.0,
        seeds: Collection[int] | None = None,
    ) -> dict[int, list[Result]]:
        """Try the seeds, keep the machine of the best one and write its card.

        Best is the seed that was tried on most, and of these the one with the fewest
        wrong bits.  Results are added to those of earlier calls, in ``trials.csv``; one
        at the same size and with the same locations takes the place of the old one.

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
        with self._locked():
            results = self._try_all(wanted, trials, sequences, give_up)
            average = self.worker.gather(self.training, self.settings.seeds)["ema"]
            if self.worker.is_main:
                files.write_trials(self.folder / files.TRIALS, results)
                self._keep_best(results, average)
        return results

    def _try_all(
        self,
        seeds: Collection[int],
        trials: Sequence[Trial],
        sequences: int,
        give_up: float,
    ) -> dict[int, list[Result]]:
        """Return all results of all workers' seeds, old and new."""
        before = files.read_trials(self.folder / files.TRIALS)
        mine = {seed: before.get(seed, []) for seed in self.training.settings.seeds}
        wanted = mine.keys() & set(seeds)
        training = self.training
        compiled = training.stacked.compiled and worth_compiling(
            self.settings.make_model(0), training.task, trials, sequences, len(wanted)
        )
        for seed in sorted(wanted):
            mine[seed] = evaluate_all(
                self.machine(seed).to(training.device),
                training.task,
                trials,
                sequences,
                give_up,
                mine[seed],
                training.stacked if compiled else None,
            )
        return {
            seed: [Result(*row) for row in rows]
            for worker in self.worker.all_gather_json(list(mine.items()))
            for seed, rows in worker
        }

    def _keep_best(self, results: dict[int, list[Result]], average: Tensor) -> None:
        """Write the machine of the best seed, and its card."""
        best = min(
            results,
            key=lambda s: (-len(results[s]), sum(r.wrong_bits for r in results[s])),
        )
        card = {
            "task": self.settings.task,
            "seed": best,
            "chosen": how_chosen(results[best], len(results)),
            "settings": self.settings.to_json(),
            "sequences": self.training.sequences,
            "seconds": round(self.seconds, 1),
            "device": provenance.device_name(self.training.device),
            "threads": torch.get_num_threads(),
            "workers": self.worker.size,
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
        row = average[self.settings.seeds.index(best)]
        trained.save(self.folder, self.training.stacked.named(row), card)

    def machine(self, seed: int) -> nn.Module:
        """Return the machine of one seed, its parameters averaged, on the CPU.

        The seed is one of this worker's own.
        """
        row = self.training.settings.seeds.index(seed)
        weights = self.training.stacked.named(self.training.ema[row])
        model = self.settings.make_model(seed)
        model.load_state_dict({name: w.detach().cpu() for name, w in weights.items()})
        return model


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
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
    has_memory = settings.model != "baseline"
    sizes = task.trials(settings.memory_locations if has_memory else None)
    require_consistent(task, sizes)
    return [Trial(size) for size in sizes]


def how_chosen(results: list[Result], seeds: int) -> str:
    """Return in words how a seed was chosen."""
    if seeds == 1:
        return "the only seed"
    wrong = sum(r.wrong_bits for r in results)
    sequences = sum(r.sequences for r in results)
    sizes = []
    for name in results[0].size:
        numbers = {r.size[name] for r in results}
        sizes.append(f"{name} {min(numbers)} to {max(numbers)}")
    return (
        f"of {seeds} seeds the one tried farthest with the fewest wrong bits: {wrong} "
        f"in {sequences} sequences of {' and '.join(sizes)}"
    )
