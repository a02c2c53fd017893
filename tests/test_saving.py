"""A machine trained in one's own way is saved, and loaded again, as the shipped ones are."""

import json
from pathlib import Path

import pytest
import torch
from machines import INPUTS, restless, sequence, small

import ntm
from ntm.runs.files import CARD, FolderError


def mine(**options: object) -> ntm.NTM:
    machine = ntm.NTM(INPUTS, 2, controller="feedforward", memory_width=7, **options)
    return restless(machine)


@pytest.mark.parametrize(
    "machine",
    [mine(num_heads=2), ntm.Baseline(INPUTS, 2, size=5, layers=2)],
    ids=["NTM", "Baseline"],
)
def test_what_was_saved_answers_as_before_when_it_is_loaded(
    machine: ntm.Recurrent, tmp_path: Path
) -> None:
    ntm.save(tmp_path / "new" / "mine", machine, card={"note": "ten updates"})
    again = ntm.load(tmp_path / "new" / "mine", type(machine))
    assert again.config == machine.config
    inputs = sequence().float()
    assert torch.equal(again(inputs)[0], machine(inputs)[0])
    assert not any(p.requires_grad for p in again.parameters())
    card = json.loads((tmp_path / "new" / "mine" / CARD).read_text("utf-8"))
    assert card["note"] == "ten updates"
    assert card["parameters"] == sum(p.numel() for p in machine.parameters())


def test_what_was_saved_last_is_what_is_loaded(tmp_path: Path) -> None:
    for machine in (mine(), mine()):
        ntm.save(tmp_path, machine)
    again = ntm.load(tmp_path)
    inputs = sequence().float()
    assert torch.equal(again(inputs)[0], machine(inputs)[0])


def test_a_machine_that_is_loaded_can_be_trained_further(tmp_path: Path) -> None:
    ntm.save(tmp_path, mine())
    machine = ntm.load(tmp_path).requires_grad_(True)
    machine(sequence().float())[0].sum().backward()
    assert machine.initial_row.grad is not None


def test_what_cannot_be_saved_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    class Mine(ntm.NTM):
        pass

    broken = mine()
    with torch.no_grad():
        broken.initial_row[0] = torch.nan
    for machine, card, message in [
        (Mine(3, 2), None, "machine: got Mine, needs NTM or Baseline"),
        (broken, None, "machine: initial_row holds numbers that are not finite"),
        (mine(), {"path": tmp_path}, "Object of type PosixPath is not JSON"),
        (mine(), {"loss": float("nan")}, "Out of range float values are not JSON"),
    ]:
        with pytest.raises((TypeError, ValueError), match=f"^{message}"):
            ntm.save(tmp_path / "there", machine, card)
    assert not (tmp_path / "there").exists()


def test_the_folder_of_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(FolderError, match=r"holds a run; choose another folder$"):
        ntm.save(tmp_path, mine())
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "model is missing"),
        ({"kind": "GRU"}, "model: machine: got GRU, needs NTM or"),
        (
            {"kind": "NTM", "input_size": 0, "output_size": 2},
            "model: input_size: got 0",
        ),
        ({"kind": "NTM", "wings": 2}, r"model: .*wings"),
        ([1], "model: "),
    ],
)
def test_a_card_that_describes_no_model_is_refused_in_a_line(
    model: object, message: str, tmp_path: Path
) -> None:
    ntm.save(tmp_path, small().float())
    card = json.loads((tmp_path / CARD).read_text("utf-8"))
    del card["model"]
    card |= {} if model is None else {"model": model}
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(FolderError, match=message) as caught:
        ntm.load(tmp_path)
    assert "\n" not in str(caught.value)
