"""Where heads lose their place, by heads that are led by hand."""

import csv
import io
import sys

import pytest
import torch
from test_notebooks import ROOT
from torch import Tensor
from torch.nn.functional import one_hot

import ntm
from ntm import pretrained
from ntm.tasks import Copy

sys.path.append(str(ROOT / "book" / "_tools"))
import write_slips as look

LENGTH, LOCATIONS = look.LONG


def led(rows: Tensor, locations: int = LOCATIONS) -> look.Told:
    """A head that is on these rows, ``(T, B)``, and has told nothing of itself."""
    steps = torch.arange(len(rows), dtype=torch.float32).unsqueeze(-1)
    numbers = steps.expand(rows.shape)
    kernel = torch.stack([0.1 + 0 * numbers, 0.2 + 0 * numbers, 0.7 + 0 * numbers], -1)
    weighting = list(one_hot(rows, locations).float())
    return look.Told(rows, weighting, kernel, numbers, 1000 + numbers)


def copies(pace: int, ahead: int, length: int, locations: int) -> tuple[Tensor, Tensor]:
    """The rows of both heads in two copies: the second vector lies in row 9, or 3."""
    begin = torch.tensor([9, 3])
    steps = torch.arange(length + 1 + look.ANSWERED).unsqueeze(-1)
    written = begin + pace * (steps - 1)
    read = begin + pace * (steps - length - 1 + ahead - 1)
    return written % locations, read % locations


@pytest.mark.parametrize("pace", [1, -1])
@pytest.mark.parametrize("ahead", [-1, 0, 1])
def test_how_a_machine_copies_is_seen_from_its_copies(
    pace: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead by one if it reads the first vector in the step of the delimiter; or late."""
    write, read = (led(rows, 128) for rows in copies(pace, ahead, *look.SHORT))
    monkeypatch.setattr(look, "follow", lambda *_: (write, read, None))
    monkeypatch.setattr(look, "counted", lambda *_, **__: None)
    assert look.habits(ntm.load("copy-feedforward"), Copy()) == (pace, ahead)


def test_a_machine_that_does_not_walk_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stays = led(
        torch.zeros(look.SHORT[0] + 1 + look.ANSWERED, 2, dtype=torch.long), 128
    )
    monkeypatch.setattr(look, "follow", lambda *_: (stays, stays, None))
    monkeypatch.setattr(look, "counted", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="the write head moves by 0"):
        look.habits(ntm.load("copy-feedforward"), Copy())


def followed(pace: int, write: Tensor, read: Tensor) -> look.Followed:
    """The second copy has 7 wrong bits; the rows that are due are those of `copies`."""
    written, read_from = copies(pace, 1, LENGTH, LOCATIONS)
    return look.Followed(
        led(write),
        led(read),
        torch.tensor([0, 7]),
        pace,
        written[:LENGTH],
        read_from[LENGTH + 1 :],
    )


@pytest.mark.parametrize("pace", [1, -1])
def test_the_first_vector_out_of_place_is_noted(pace: int) -> None:
    """The write head stalls at vector 37, the read head goes astray at 5, in one copy."""
    write, read = copies(pace, 1, LENGTH, LOCATIONS)
    write[37:, 1] = (write[37:, 1] - pace) % LOCATIONS
    read[LENGTH + 1 + 5 :, 1] = 500
    found = followed(pace, write, read)
    assert look.slips(found, 0) == [0, look.EARLY, "1.0000", "", ""]
    assert look.slips(found, 1) == [7, look.EARLY, "1.0000", 37, 5]


def test_a_spread_head_is_not_focused() -> None:
    write, read = copies(1, 1, LENGTH, LOCATIONS)
    found = followed(1, write, read)
    even = torch.full((2, LOCATIONS), 1 / LOCATIONS)
    for step in (10, 20, look.EARLY, LENGTH + 1):  # the last two are not early
        found.read.weighting[step] = even
    assert look.slips(found, 0)[1:3] == [look.EARLY - 2, "0.0010"]


@pytest.mark.parametrize("pace", [1, -1])
def test_the_steps_around_a_slip_are_printed(pace: int) -> None:
    """Of the kernel, 0.7 is on the offset +1: what moves on if the pace is 1."""
    write, read = copies(pace, 1, LENGTH, LOCATIONS)
    lost = LENGTH + 1 + 8
    read[lost:, 1] = (read[lost:, 1] - pace) % LOCATIONS
    out = io.StringIO()
    look.lose(csv.writer(out), followed(pace, write, read), 1)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [int(row["vector"]) for row in rows] == list(range(2, 14))
    move, back = ("0.7", "0.1") if pace == 1 else ("0.1", "0.7")
    for row in rows:
        vector = int(row["vector"])
        assert (row["move"], row["stay"], row["back"]) == (move, "0.2", back)
        assert float(row["exponent"]) == LENGTH + 1 + vector
        assert float(row["gate"]) == 1000 + LENGTH + 1 + vector
        at = ("1", "0") if vector < 8 else ("0", "1")
        assert (row["due"], row["behind"]) == at


@torch.no_grad()
def test_the_shipped_machine_does_what_is_published() -> None:
    name = "copy-feedforward"
    with (look.count.MACHINES / name / "slips.csv").open() as file:
        seed = str(pretrained.available()[name]["seed"])
        published = [row for row in csv.reader(file) if row[0] == seed]
    assert published
    found = look.look(ntm.load(name), Copy(), len(published))
    for k, row in enumerate(published):
        wrong, focused, begin, *late = look.slips(found, k)
        assert [str(wrong), str(focused), *map(str, late)] == [*row[2:4], *row[5:]]
        assert float(begin) == pytest.approx(float(row[4]), abs=0.01)
