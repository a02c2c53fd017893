"""A run on disk: it can be stopped at any moment, even by force, and goes on later.

The folder holds ``settings.json``, with which a run begins, ``curve.csv`` as it grows,
``checkpoint.safetensors`` as the last good state of all seeds, and at the end the
trained machine of one seed, as `ntm.runs.trained` has it.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ntm.machine import NTM
from ntm.recurrent import Recurrent
from ntm.runs import files, out_of_memory, provenance, tables, trained
from ntm.runs.files import FolderError
from ntm.runs.folder import (
    CHECKPOINT,
    PARTS,
    make,
    read_settings,
    remove_killed_start,
    require_fit,
    write_settings,
)
from ntm.runs.selection import how_chosen, select
from ntm.tasks.base import require_consistent
from ntm.training.evaluation import Result, Trial, evaluate_all, worth_compiling
from ntm.training.settings import MODELS, Settings
from ntm.training.trainer import Evaluation, Stopped, Trainer, solved_after


class Run:
    """A training and the folder that keeps it; `start` or `resume` one.

    Args:
        folder: where it is kept.
        settings: all choices there are.
        device: where the arithmetic is done.
        compiled: whether steps run through the compiler.

    Raises:
        ntm.runs.out_of_memory.TooManySeedsError: the seeds do not fit in memory.

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
        task = settings.make_task()
        has_memory = issubclass(MODELS[settings.model], NTM)
        with out_of_memory.explained(settings):
            sizes = task.trials(settings.memory_locations if has_memory else None)
            require_consistent(task, sizes)
            self.training = Trainer(settings, device, compiled)
        self.trials = [Trial(size) for size in sizes]
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

        With ``init_from``, a finished run of the same seeds, it begins with its
        machines and streams of sequences as they were at its end.

        Raises:
            FolderError: the folder holds something or cannot be written, or the other
                run is not finished or does not fit.
        """
        run = cls(folder, settings, device, compiled)  # what cannot be makes no folder
        make(folder)
        with files.locked(folder):
            make(folder)  # nobody has begun in it meanwhile
            remove_killed_start(folder)
            if init_from is not None:
                run._init_from(init_from)
            write_settings(folder, settings)  # last: without it there is no run
        return run

    @classmethod
    def resume(
        cls, folder: Path, device: torch.device | str = "cpu", compiled: bool = True
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
            require_fit(path, tensors, settings)
        run = cls(folder, settings, device, compiled)
        if has_begun:
            kinds = (KeyError, TypeError, ValueError, RuntimeError)
            with files.refused(path, *kinds, how="does not fit the run: "):
                run.training.load_state_dict(tensors)
                run.seconds = float(note["seconds"])
                run.training.stopped = [Stopped(*row) for row in note["stopped"]]
        # What came after the checkpoint will come again.
        if (folder / files.CURVE).exists():
            rows = tables.read_curve(folder / files.CURVE)
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
        curve = tables.read_curve(first / files.CURVE)
        ended, _ = files.read_checkpoint(first / CHECKPOINT)
        names = ("conditions_rng", "data_rngs", "active")
        with files.refused(first, KeyError, ValueError, how="does not fit this run: "):
            if card["settings"]["seeds"] != list(self.settings.seeds):
                raise ValueError(f"seeds: got {list(self.settings.seeds)}")
            if self.settings.forward_bias or self.settings.gate_bias:
                raise ValueError("forward_bias, gate_bias: its machines have begun")
            begin = {name: torch.zeros_like(ended[name]) for name in ended}
            begin |= {name: ended[name] for name in names}
            begin |= dict.fromkeys(("parameters", "ema"), ended["ema"])
            self.training.load_state_dict(begin)
        files.write_json(self.folder / files.PREVIOUS_STAGE, card)
        tables.write_curve(self.folder / files.PREVIOUS_STAGE_CURVE, curve)
        self.save_checkpoint()

    def __iter__(self) -> Iterator[list[Evaluation]]:
        """Train to the end; give the curve's new rows once they are safely on disk.

        Raises:
            FolderError: something could not be written; the last checkpoint is good.
                Or another process trains this run.
            ntm.runs.out_of_memory.TooManySeedsError: the seeds do not fit in memory.
        """
        with out_of_memory.explained(self.settings), files.locked(self.folder):
            yield from self._train()

    def _train(self) -> Iterator[list[Evaluation]]:
        tables.write_curve(self.folder / files.CURVE, self.curve)
        before = self.seconds - time.monotonic()
        for rows in self.training:
            self.curve += rows
            self.seconds = before + time.monotonic()
            tables.append_curve(self.folder / files.CURVE, rows)
            self.save_checkpoint()
            yield rows
        if not (self.folder / files.CARD).exists():
            tried = (self.folder / files.TRIALS).exists()
            self._select([] if tried else self.trials)
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
        with files.locked(self.folder):
            return self._select(trials, sequences, give_up, seeds)

    def _select(
        self,
        trials: Sequence[Trial],
        sequences: int = 100,
        give_up: float = 1.0,
        seeds: Collection[int] | None = None,
    ) -> dict[int, list[Result]]:
        """Do what `select_seed` does, for a caller that holds the folder's lock."""
        wanted = self.settings.seeds if seeds is None else sorted(set(seeds))
        for seed in wanted:
            if seed not in self.settings.seeds:
                raise ValueError(f"seeds: got {seed}, needs one of the run's")
        training, path = self.training, self.folder / files.TRIALS
        before = tables.read_trials(path)
        results = {seed: before.get(seed, []) for seed in self.settings.seeds}
        compiled = training.stacked.compiled and worth_compiling(
            self.settings.make_model(0), training.task, trials, sequences, len(wanted)
        )
        for seed in wanted:
            results[seed] = evaluate_all(
                self.machine(seed).to(training.device),
                training.task,
                trials,
                sequences,
                give_up,
                results[seed],
                training.stacked if compiled else None,
            )
        tables.write_trials(path, results)
        self._keep_best(results)
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
