"""Nothing on disk is lost: one writer, one switch, and files that older versions wrote."""

import dataclasses
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from test_notebooks import ROOT

import ntm
from ntm import pretrained
from ntm.cli import main
from ntm.runs import files, tables, trained
from ntm.runs.files import CARD, CURVE, TRIALS, FolderError
from ntm.runs.folder import CHECKPOINT, SETTINGS, read_settings
from ntm.runs.run import Run
from ntm.training.evaluation import Trial
from ntm.training.settings import Settings

sys.path.append(str(ROOT / "book" / "_tools"))
import ablations


def settings(**changes: Any) -> Settings:
    short = {"task_options": {"longest": 2}, "sequences": 8, "memory_locations": 9}
    return tiny.settings(**short | changes)


class KilledError(BaseException):
    """As if the process ended here."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    for _ in Run.start(folder, settings(), compiled=False):
        pass
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return copy(whole, tmp_path / "run")


def copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_before(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """End as soon as a file whose name begins so is to be put in its place."""
    replace = os.replace

    def ending(source: Path, target: Path) -> None:
        if Path(target).name.startswith(name):
            raise KilledError
        replace(source, target)

    monkeypatch.setattr(os, "replace", ending)


# One writer.


def test_results_are_added_under_the_lock_and_to_the_card_of_now(copied: Path) -> None:
    machine = trained.load(copied)
    trial = [Trial((5,))]
    run = Run.resume(copied, compiled=False)
    seed = next(s for s in run.settings.seeds if s != machine.card["seed"])
    with files.locked(copied), pytest.raises(FolderError, match="another process"):
        in_another_process(lambda: trained.add_results(copied, machine, []))
    run.select_seed(trial, sequences=2)
    trained.add_results(copied, machine, [])
    assert [r["length"] for r in trained.load(copied).card["results"]] == [2, 3, 5]
    card = files.read_json(copied / CARD)
    trained.save(copied, dict(run.machine(seed).named_parameters()), card)
    before = contents(copied)
    with pytest.raises(FolderError, match="keeps another machine by now"):
        trained.add_results(copied, machine, [])
    assert contents(copied) == before


def in_another_process(act: Any) -> None:
    """A lock is a process's own: what another would see is seen without its registry."""
    lock = files.FileLock
    files.FileLock = lambda *given, **options: lock(  # type: ignore[assignment, misc]
        *given, **options | {"is_singleton": False}
    )
    try:
        act()
    finally:
        files.FileLock = lock  # type: ignore[misc]


def test_of_two_starts_in_one_folder_one_begins(tmp_path: Path) -> None:
    said: list[str] = []
    both = threading.Barrier(2)

    def start(rate: float) -> None:
        mine = settings(learning_rate=rate)
        both.wait()
        try:
            in_another_process(lambda: Run.start(tmp_path / "x", mine, compiled=False))
        except FolderError as error:
            said.append(str(error))
        else:
            begun.append(mine)

    begun: list[Settings] = []
    threads = [threading.Thread(target=start, args=(rate,)) for rate in (0.5, 1e-3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read_settings(tmp_path / "x")] == begun
    (line,) = said
    assert "another process is writing to it" in line or "holds another run" in line


def test_a_start_holds_the_lock_until_the_run_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def second(*given: Any) -> None:
        with pytest.raises(FolderError) as caught, files.locked(tmp_path / "x"):
            pass
        refused.append(str(caught.value))

    monkeypatch.setattr(
        "ntm.runs.run.write_settings", lambda *given: in_another_process(second)
    )
    Run.start(tmp_path / "x", settings(), compiled=False)
    assert refused == [f"{tmp_path / 'x'}: another process is writing to it"]


# One switch.


@pytest.mark.parametrize("name", ["model", CARD, TRIALS])
def test_killed_while_a_seed_is_selected_the_old_machine_is_there(
    copied: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trained.load(copied)
    run = Run.resume(copied, compiled=False)
    others = [s for s in run.settings.seeds if s != before.card["seed"]]
    rows = tables.read_trials(copied / TRIALS)
    worse = {s: [r._replace(wrong_bits=0) for r in rows[s]] for s in others[:1]}
    tables.write_trials(copied / TRIALS, rows | worse)
    with monkeypatch.context() as patch:
        killed_before(name, patch)
        with pytest.raises(KilledError):
            run.select_seed([])
    after = trained.load(copied)
    assert after.card == before.card
    for mine, its in zip(
        after.model.parameters(), before.model.parameters(), strict=True
    ):
        assert torch.equal(mine, its)
    list(Run.resume(copied, compiled=False))
    assert trained.load(copied).card == before.card
    run.select_seed([])
    assert trained.load(copied).card["seed"] == others[0]
    assert len(list(copied.glob("model*"))) == 1  # and none of before


def test_resume_writes_weights_that_are_not_the_cards_again(copied: Path) -> None:
    expected = trained.load(copied)
    path = tiny.weights(copied)
    good = path.read_bytes()
    for damage in (good[:-1], good[:-1] + b"\0", b"", None):
        path.unlink() if damage is None else path.write_bytes(damage)
        with pytest.raises(FolderError):
            trained.load(copied)
        list(Run.resume(copied, compiled=False))
        assert trained.load(copied).card == expected.card
        assert path.read_bytes() == good


@pytest.mark.parametrize("name", ["first.json", "first.csv", CHECKPOINT, SETTINGS])
def test_killed_in_a_start_from_another_run_it_starts_again(
    whole: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"compiled": False, "init_from": whole}
    with monkeypatch.context() as patch:
        killed_before(name, patch)
        with pytest.raises(KilledError):
            Run.start(tmp_path / "x", settings(), **given)
    with pytest.raises(FolderError, match=r"settings\.json: No such file"):
        Run.resume(tmp_path / "x", compiled=False)
    Run.start(tmp_path / "x", settings(), compiled=False)
    assert set(contents(tmp_path / "x")) - {files.LOCK} == {SETTINGS}  # not from first


def test_a_folder_that_cannot_be_opened_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where no folder can be opened."""
    opened = os.open

    def refusing(path: Any, *given: Any, **options: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *given, **options)

    monkeypatch.setattr(os, "open", refusing)
    files.write_json(tmp_path / "x.json", {"a": 1})
    assert files.read_json(tmp_path / "x.json") == {"a": 1}


# Nothing is written where the package is installed.


def test_a_shipped_models_card_is_not_added_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(pretrained.folder("copy-lstm"))
    assert main(["evaluate", "copy-lstm", "--save", "--length", "1"]) == 1
    assert contents(pretrained.folder("copy-lstm")) == before
    said = capsys.readouterr().err
    assert said == "ntm: copy-lstm: is shipped; its card stays as it is\n"


def test_pictures_of_a_shipped_model_are_drawn_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    before = contents(pretrained.folder("copy-lstm"))
    assert main(["show", "copy-lstm", "--length", "2"]) == 0
    assert set(contents(tmp_path)) == {"sequence.png"}  # no curves are shipped
    assert contents(pretrained.folder("copy-lstm")) == before
    capsys.readouterr()
    assert main(["show", "copy-lstm", "--length", "2", "--out", "sequence.png"]) == 1
    assert capsys.readouterr().err == "ntm: sequence.png: File exists\n"


# Formats that grow.


def repository() -> list[Path]:
    folders = [ROOT / "book", ROOT / "ntm" / "pretrained"]
    found = [
        p for f in folders for kind in ("json", "csv") for p in f.rglob(f"*.{kind}")
    ]
    return [p for p in found if p.parent.name != "who"]  # other models, other files


def test_all_run_files_in_the_repository_can_be_read() -> None:
    tried: dict[str, int] = {}
    for path in repository():
        if path.suffix == ".json":
            values = files.read_json(path)
            if "seeds" not in values and "settings" not in values:
                continue
            chosen = values.get("settings", values)
            if chosen.get("model") in ablations.KINDS:  # known to their own program
                chosen = chosen | {"model": "ntm"}
            Settings.from_json(chosen)
            kind = "settings"
        else:
            header = path.read_text("utf-8").partition("\n")[0]
            if header.startswith("seed,sequences,bits"):
                assert tables.read_curve(path)
                kind = "curve"
            elif header.startswith("seed,length"):
                assert tables.read_trials(path)
                kind = "trials"
            else:
                continue  # a table of the book
        tried[kind] = tried.get(kind, 0) + 1
    assert tried["settings"] >= 28
    assert tried["curve"] >= 25
    assert tried["trials"] >= 4


def as_format_1(folder: Path) -> None:
    """Make a run what version 0.1 would have left: flat settings, one name of weights."""
    values = files.read_json(folder / SETTINGS)["settings"]
    options = values.pop("task_options")
    values |= {"uneven": options["biased_share"], "heads": values.pop("num_heads")}
    files.write_json(folder / SETTINGS, values)
    tiny.weights(folder).rename(folder / "model.safetensors")
    card = files.read_json(folder / CARD)
    del card["ntm"], card["weights"]
    files.write_json(folder / CARD, card | {"format": 1, "settings": values})
    tensors, note = files.read_checkpoint(folder / CHECKPOINT)
    del note["ntm"], note["format"]
    metadata = {"note": json.dumps(note)}
    files.write_bytes(folder / CHECKPOINT, files.as_bytes(tensors, metadata))


def test_a_run_of_the_first_version_is_read_and_goes_on(copied: Path) -> None:
    mine = trained.load(copied).settings
    options = mine.task_options | {"longest": 20}  # there was no choice
    expected = dataclasses.replace(mine, task_options=options)
    as_format_1(copied)
    old = trained.load(copied)
    assert old.settings == expected
    run = Run.resume(copied, compiled=False)
    assert run.settings == expected
    run.select_seed([])
    assert trained.load(copied).card["format"] == files.FORMAT
    assert not (copied / "model.safetensors").exists()


@pytest.mark.parametrize("name", [SETTINGS, CARD, CHECKPOINT])
def test_a_later_format_is_refused_and_says_who_wrote_it(
    copied: Path, name: str
) -> None:
    later = {"format": files.FORMAT + 1, "ntm": "9.1.0"}
    if name == CHECKPOINT:
        tensors, note = files.read_checkpoint(copied / name)
        files.write_checkpoint(copied / name, tensors, note | later)
    else:
        files.write_json(copied / name, files.read_json(copied / name) | later)
    with pytest.raises(FolderError) as caught:
        trained.load(copied) if name == CARD else Run.resume(copied, compiled=False)
    assert str(caught.value) == (
        f"{copied / name}: is of format {files.FORMAT + 1}, later than the "
        f"{files.FORMAT} that this version reads "
        f"(written by ntm 9.1.0; this is {ntm.__version__})"
    )


def test_what_an_old_version_wrote_and_cannot_be_read_says_which(copied: Path) -> None:
    card = files.read_json(copied / CARD)
    card["settings"]["forgotten"] = 3
    card["ntm"] = "0.0.7"
    files.write_json(copied / CARD, card)
    with pytest.raises(
        FolderError, match=r"forgotten is unknown \(written by ntm 0\.0\.7"
    ):
        trained.load(copied)


@pytest.mark.parametrize("name", [CURVE, TRIALS])
def test_a_column_that_is_unknown_or_missing_is_refused(
    copied: Path, name: str
) -> None:
    header, *rows = (copied / name).read_text().splitlines()
    for wrong in (header + ",mood", header.rpartition(",")[0]):
        (copied / name).write_text("\n".join([wrong, *rows, ""]))
        with pytest.raises(FolderError, match=name):
            tables.read_curve(copied / name) if name == CURVE else tables.read_trials(
                copied / name
            )
    with_one_more = [header + ",mood", *(row + ",3" for row in rows), ""]
    (copied / name).write_text("\n".join(with_one_more))
    with pytest.raises(FolderError, match=rf"{name}: .*mood"):
        tables.read_curve(copied / name) if name == CURVE else tables.read_trials(
            copied / name
        )


def test_a_curve_without_the_optimum_is_read_and_grows_on(tmp_path: Path) -> None:
    """As older versions wrote it; only what they did not write stays unknown."""
    options = {"context": 1, "length": 6}
    settings = tiny.short(task="n-grams", task_options=options)
    for rows in Run.start(tmp_path / "x", settings, compiled=False):
        assert all(row.optimum for row in rows)
        break
    path = tmp_path / "x" / CURVE
    kept = tables.read_curve(path)
    assert [row.optimum for row in kept] == pytest.approx([r.optimum for r in rows])
    header, *lines = path.read_text().splitlines()
    older = [line.rpartition(",")[0] for line in (header, *lines)]
    path.write_text("\n".join([*older, ""]))
    assert tables.read_curve(path) == [row._replace(optimum=None) for row in kept]
    run = Run.resume(tmp_path / "x", compiled=False)
    for _ in run:
        pass
    rows = tables.read_curve(path)
    assert [row.optimum is None for row in rows] == [True] * 3 + [False] * 15
    assert run.curve[:3] == rows[:3]


# What cannot be.


def test_nothing_after_another_kind_of_line_end_is_lost(copied: Path) -> None:
    good = (copied / CURVE).read_bytes()
    for end in (b"\r", b"\x0b", "\u2028".encode()):
        (copied / CURVE).write_bytes(good[:44] + end + good[44:])
        with pytest.raises(FolderError, match=r"curve\.csv: line 2 is damaged"):
            tables.read_curve(copied / CURVE)


def test_a_curve_that_is_no_text_is_refused_in_one_line(copied: Path) -> None:
    (copied / CURVE).write_bytes(b"seed,sequences,bits,wrong_bits\n\xff\xfe\n")
    with pytest.raises(FolderError, match=r"curve\.csv: is damaged: .*can't decode"):
        Run.resume(copied, compiled=False)


@pytest.mark.parametrize("size", [10**9, 10**30, -1, 0, 2.5, "7", None, [7]], ids=str)
@pytest.mark.parametrize("setting", ["controller_size", "memory_width", "num_heads"])
def test_sizes_beyond_any_memory_are_refused_before_they_are_made(
    copied: Path, setting: str, size: Any
) -> None:
    for name in (CARD, SETTINGS):
        values = files.read_json(copied / name)
        values["settings"][setting] = size
        files.write_json(copied / name, values)
    for act in (trained.load, lambda folder: Run.resume(folder, compiled=False)):
        with pytest.raises(FolderError) as caught:
            act(copied)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_with_one_bit_changed_is_refused(copied: Path) -> None:
    path = copied / CHECKPOINT
    good = path.read_bytes()
    for where in (-1, -900, len(good) // 2):
        data = bytearray(good)
        data[where] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(FolderError, match=CHECKPOINT):
            Run.resume(copied, compiled=False)
