"""The Python side of the live figures: what they hold, refuse, compute and store."""

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from traitlets import TraitError

import ntm
from ntm import addressing, memory, pretrained
from ntm.book import live
from ntm.book.figures import COLOURS
from ntm.book.live._machine import packed
from ntm.book.live._widget import on_dark, style
from ntm.machine import NTM
from ntm.tasks import AssociativeRecall, Copy

ROOT = Path(__file__).parent.parent
WIDGETS = "application/vnd.jupyter.widget-state+json"
BY_NAME = {name: getattr(live, name) for name in live.__all__}


def trace(step: int = 0) -> live.Trace:
    batch = Copy().batch(torch.Generator().manual_seed(0), 1, 3)
    return live.Trace(NTM(9, 8), batch, memory_locations=5, step=step)


MAKE: dict[str, Any] = {
    "read": live.Memory,
    "write": lambda: live.Memory("write"),
    "content": lambda: live.Address("content"),
    "sharpen": live.Address,
    "walk": live.Walk,
    "border": live.Border,
    "trace": trace,
    "play": live.Play,
    "controller": live.Controller,
    "tamper": live.Tamper,
}
every_figure = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())


def from_the_browser(figure: Any, **values: Any) -> None:
    """Change a figure as its front end does: through JSON."""
    figure.set_state(json.loads(json.dumps(values)))


def test_what_is_dragged_in_the_browser_is_what_python_has() -> None:
    figure = live.Address()
    from_the_browser(
        figure, strength=8, gate=1, kernel=[0, 1, 0], exponent=1, key=[1, 0, 0, 0]
    )
    assert figure.strength == 8
    content = addressing.content_weighting(figure.memory, figure.key, 8.0)
    assert_close(figure.weighting, content)
    assert figure.weighting.dtype == torch.float64


def test_what_python_sets_is_sent_to_the_browser() -> None:
    figure = live.Address()
    sent: list[str] = []
    figure.observe(lambda change: sent.append(change["name"]))
    figure.strength = 8
    figure.key = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert sent == ["strength", "key"]
    assert json.loads(json.dumps(figure.get_state("key"))) == {"key": [0, 0, 0, 1]}


@pytest.mark.parametrize(
    ("stages", "place"), [("content", 0), ("gate", 1), ("shift", 2), ("sharpen", 3)]
)
def test_the_weighting_is_that_of_the_last_stage_shown(stages: Any, place: int) -> None:
    figure = live.Address(stages, gate=0.3, exponent=2)
    names = ("memory", "previous", "key", "strength", "gate", "kernel", "exponent")
    expected = addressing.address(*(getattr(figure, name) for name in names))
    assert torch.equal(figure.weighting, expected[place])


def test_a_memory_is_read_erased_and_added_to_as_the_package_does() -> None:
    figure = live.Memory("write", weighting=torch.tensor([0.1, 0.2, 0.3, 0.4]))
    focus = (figure.memory, figure.weighting)
    assert torch.equal(figure.read_vector, memory.read(*focus))
    assert torch.equal(figure.erased, memory.erase(*focus, figure.erase_vector))
    both = memory.write(*focus, figure.erase_vector, figure.add_vector)
    assert_close(figure.written, both)


def test_a_walk_shifts_and_sharpens_as_often_as_it_says() -> None:
    figure = live.Walk(steps=3, exponent=2)
    blurred = kept = torch.eye(24, dtype=torch.float64)[2]
    for _ in range(3):
        blurred = addressing.shift(blurred, figure.kernel)
        kept = addressing.sharpen(addressing.shift(kept, figure.kernel), 2)
    assert_close(figure.blurred, blurred)
    assert_close(figure.weighting, kept)


@pytest.mark.parametrize("exponent", [1.1, 1.5, 2.0, 3.0, 5.0])
def test_a_head_on_one_side_of_the_border_keeps_its_place_and_no_other(
    exponent: float,
) -> None:
    most = live.Border(exponent=exponent).most_leak
    for leak, keeps in ((most - 0.005, True), (most + 0.005, False)):
        figure = live.Border(leak=leak, exponent=exponent)
        assert (float(figure.due[300]) > 0.3) is keeps
        assert (float(figure.ratios[-1]) < 1) is keeps


def test_the_border_is_where_the_paper_and_pencil_say() -> None:
    assert live.Border(exponent=2).most_leak == pytest.approx(1 / 5)
    assert live.Border(exponent=1).most_leak == 0
    assert live.Border(exponent=1.0001).most_leak < 1e-4


def test_the_ratio_is_that_of_a_head_that_takes_its_steps() -> None:
    figure = live.Border(leak=0.21, exponent=2)
    weighting = [1.0] + [0.0] * 399
    for step in range(1, len(figure.ratios)):
        moved = [0.79 * weighting[i - 1] + 0.21 * weighting[i] for i in range(400)]
        weighting = [w**2 / sum(w**2 for w in moved) for w in moved]
        ratio = weighting[step - 1] / weighting[step]
        assert float(figure.ratios[step]) == pytest.approx(ratio)
        assert float(figure.due[step]) == pytest.approx(weighting[step])
    assert step == 21
    assert ratio > 1


def test_a_trace_shows_the_machine_itself() -> None:
    torch.manual_seed(0)
    figure = trace(step=4)
    torch.manual_seed(0)
    machine = NTM(9, 8)
    batch = Copy().batch(torch.Generator().manual_seed(0), 1, 3)
    with torch.no_grad():
        _, _, steps = machine.trace(batch.inputs, machine.initial_state(1, 5))
    near = {"atol": 6e-4, "rtol": 0}
    assert_close(figure.write_weighting, steps.write.weighting[4, 0, 0], **near)
    assert_close(figure.read_weighting, steps.read.weighting[4, 0, 0], **near)
    assert_close(figure.memory, steps.memory[4, 0], **near)
    assert figure.length == 3


def test_a_trace_says_what_happens_at_each_step() -> None:
    says = json.loads(trace().recorded)["says"]
    vectors = Copy().batch(torch.Generator().manual_seed(0), 1, 3).targets[-3:, 0]
    for step, vector in enumerate(vectors.int().tolist()):
        word = "".join(str(bit) for bit in vector)
        assert says[step] == f"vector {step + 1} of 3 comes in, {word}"
        assert says[step + 4].startswith(f"vector {step + 1} of 3 goes out, ")
    assert says[3] == "the delimiter comes in"

    recall = AssociativeRecall().batch(torch.Generator().manual_seed(0), 1, 2)
    told = [f"{step}" for step in range(16)]
    figure = live.Trace(NTM(8, 6), recall, 16, doing="recalls", says=told)
    assert json.loads(figure.recorded)["says"] == told
    assert figure.length == 12  # the last delimiter
    figure = live.Trace(NTM(8, 6), recall, 16, says=told, delimiter=False)
    assert figure.length == -1  # nothing to go to
    with pytest.raises(ValueError, match="says: got 15, needs 16, one a step"):
        live.Trace(NTM(8, 6), recall, 16, says=told[1:])


def test_a_machine_at_play_is_the_machine_itself() -> None:
    figure = live.Play(words="10110010 00000001 11111111")
    from_the_browser(figure, locations=9, step=6)
    machine, batch = (
        ntm.load("copy-feedforward"),
        Copy().from_words(figure.words.split()),
    )
    with torch.no_grad():
        logits, _, steps = machine.trace(batch.inputs, machine.initial_state(1, 9))
    assert torch.equal(figure.answer, (logits[4:6, 0] > 0).long())
    assert torch.equal(figure.write_weighting, steps.write.weighting[5, 0])
    assert torch.equal(figure.read_weighting, steps.read.weighting[5, 0])
    assert torch.equal(figure.memory, steps.memory[5, 0])
    figure.words = "10110010 00000001"
    assert figure.length == 2


def test_the_weights_travel_as_they_are_in_the_file() -> None:
    machine = ntm.load("copy-lstm")
    sent = packed(machine)
    numbers = torch.frombuffer(
        bytearray(base64.b64decode(sent["base64"])), dtype=torch.float32
    )
    sizes = [math.prod(shape) for _, shape in sent["shapes"]]
    for (name, shape), part in zip(sent["shapes"], numbers.split(sizes), strict=True):
        assert torch.equal(part.view(shape), machine.state_dict()[name])


def test_a_machine_is_shown_with_its_rank_among_its_seeds() -> None:
    figure, card = live.Play(), pretrained.available()["copy-feedforward"]
    assert card["chosen"] in figure.about
    assert f"seed {card['seed']}" in figure.about
    assert f"{card['parameters']:,} numbers" in figure.hook


def test_a_machine_is_tampered_with_as_the_chapter_does_it() -> None:
    """What each tool does is done here once more, by hand."""
    figure = live.Tamper(words="10110010 00000001 11111111 01010101", locations=9)
    machine = ntm.load("copy-feedforward")
    batch = Copy().from_words(figure.words.split())

    def answer(change: Any, before: int, told: Any = lambda told: told) -> Any:
        state = machine.initial_state(1, 9)
        if before:
            _, state = machine(batch.inputs[:before], state)
        hook = machine.heads.register_forward_hook(lambda _, __, all_: told(all_))
        with torch.no_grad():
            outputs, _ = machine(batch.inputs[before:], change(state))
        hook.remove()
        return (outputs[-4:, 0] > 0).long()

    def row(state: Any) -> Any:
        memory = state.memory.clone()
        memory[0, 7] = memory[0, 8]
        return state._replace(memory=memory)

    def moved(state: Any) -> Any:
        place = torch.eye(9)[7].view(1, 1, 9)
        return state._replace(weightings=state.weightings._replace(read=place))

    def without(state: Any) -> Any:
        both = (torch.cat([w[..., :7], w[..., 8:]], -1) for w in state.weightings)
        memory = torch.cat([state.memory[:, :7], state.memory[:, 8:]], 1)
        return state._replace(memory=memory, weightings=type(state.weightings)(*both))

    def noisy(state: Any) -> Any:
        noise = torch.tensor(json.loads(figure.noise))
        return state._replace(memory=state.memory + 1.5 * noise)

    def same(state: Any) -> Any:
        return state

    def read(**values: Any) -> Any:
        return lambda told: told._replace(read=told.read._replace(**values))

    def turned(told: Any) -> Any:
        return read(kernel=told.read.kernel[..., [2, 1, 0]])(told)

    one = torch.ones(1, 1, 1)
    wanted: dict[str, Any] = {
        "overwrite": answer(row, 4),
        "move": answer(moved, 4),
        "remove": answer(without, 4),
        "noise": answer(noisy, 4),
        "gate": answer(same, 4, read(gate=0 * one)),
        "exponent": answer(same, 4, read(exponent=one)),
        "kernel": answer(same, 4, turned),
    }
    untouched = answer(same, 4)
    how = {"row": 7, "other": 8, "head": "read", "when": 5, "amount": 1.5}
    from_the_browser(figure, **how)
    for tool, expected in wanted.items():
        from_the_browser(figure, tool=tool)
        assert torch.equal(figure.answer, expected), tool
        off = (expected != untouched).any(-1).nonzero().flatten().tolist()
        assert figure.changed == off, tool
    assert len({str(answer) for answer in wanted.values()}) > 4


def test_every_intervention_of_the_chapter_is_ready_made() -> None:
    figure = live.Tamper()
    told = {json.dumps(ready["how"]) for ready in json.loads(figure.presets)}
    assert len(told) == len(json.loads(figure.presets)) == 16
    outcomes = {}
    for ready in json.loads(figure.presets):
        from_the_browser(figure, **ready["how"])
        outcomes[ready["name"]] = figure.changed
    assert outcomes["overwrite a row"] == [3]
    assert outcomes["overwrite the first row"] == [*range(8)]
    for name in ("close the write gate", "mirror both kernels", "some noise"):
        assert outcomes[name] == []


@pytest.mark.parametrize(
    ("make", "name", "value", "said"),
    [
        ("sharpen", "strength", 51, "strength: got 51, needs a number from 0 to 50"),
        ("sharpen", "strength", float("nan"), "needs a number from 0 to 50"),
        ("sharpen", "strength", "much", "got 'much', needs a number from 0 to 50"),
        ("sharpen", "gate", -0.1, "gate: got -0.1, needs a number from 0 to 1"),
        ("sharpen", "exponent", 0.5, "exponent: got 0.5, needs a number from 1 to 20"),
        ("sharpen", "key", [0, 0, 0, 2], "from 0 to 2, needs -1 to 1"),
        ("sharpen", "key", [0.0, 1.0], "key: got 2 numbers, needs 4"),
        ("sharpen", "key", [[0.0]], "needs 1 dimension"),
        ("sharpen", "key", "loud", "got 'loud', needs 1 dimension"),
        ("sharpen", "previous", [0.5] * 6, "previous: sums to 3, needs to sum to 1"),
        ("sharpen", "previous", [1.0], "previous: got 1 numbers, needs 6"),
        ("sharpen", "kernel", [0.25] * 4, "kernel: got 4 taps, needs 3 or 5"),
        ("sharpen", "kernel", [-0.5, 1, 0.5], "from -0.5 to 1, needs 0 to 1"),
        ("read", "weighting", [0.5, 0.5], "got 2 numbers, needs 4"),
        ("write", "erase_vector", [0, 0, 0, 0, 1.5], "needs 0 to 1"),
        ("write", "add_vector", [1.0], "got 1 numbers, needs 5"),
        ("walk", "steps", 51, "steps: got 51, needs a whole number from 0 to 50"),
        ("walk", "steps", 1.5, "needs a whole number from 0 to 50"),
        ("walk", "kernel", [0, 0, 1, 0, 0], "got 5 numbers, needs 3"),
        ("border", "leak", 0.6, "leak: got 0.6, needs a number from 0 to 0.5"),
        ("border", "exponent", 0.9, "exponent: got 0.9, needs a number from 1 to 5"),
        ("trace", "step", 7, "step: got 7, needs a whole number from 0 to 6"),
        ("tamper", "when", 0, "when: got 0, needs a step, 1 to 17"),
        ("tamper", "row", 12, "row: got 12, needs a whole number from 0 to 11"),
        ("tamper", "prediction", "01", "prediction: got '01', needs 8 of 0 and 1"),
        ("tamper", "tool", "hammer", "hammer"),
        ("play", "words", "101", "words: bits: got 101, needs 8 of 0 and 1"),
        ("play", "words", "", "words: "),
        ("play", "words", "10110010 " * 21, "words: got 21, needs at most 20"),
        ("play", "locations", 33, "locations: got 33, needs one of 3 to 16384"),
        ("controller", "level", 4, "level"),
        ("controller", "step", 9, "step: got 9, needs a whole number from 0 to 8"),
        ("play", "length", 0, "length: got 0, needs one of 1 to 10000"),
    ],
)
def test_what_cannot_be_is_refused_with_the_range(
    make: str, name: str, value: Any, said: str
) -> None:
    figure = MAKE[make]()
    before = figure.get_state(name)
    with pytest.raises(TraitError) as refused:
        setattr(figure, name, value)
    assert said in str(refused.value)
    assert figure.get_state(name) == before


def test_an_impossible_figure_is_refused_when_it_is_made() -> None:
    with pytest.raises(TraitError, match="needs a number from 0 to 50"):
        live.Address(strength=99)
    with pytest.raises(TraitError, match="stages"):
        live.Address("blur")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [live.Memory, live.Address])
def test_a_memory_of_ones_own_has_a_name_for_each_row_and_column(kind: Any) -> None:
    figure = kind(memory=torch.eye(4)[:, :3])
    assert (figure.rows, figure.columns) == (["0", "1", "2", "3"], ["0", "1", "2"])
    with pytest.raises(TraitError, match="rows: got 2 names, needs 4"):
        kind(memory=torch.eye(4), rows=["a", "b"])


@every_figure
def test_a_figure_brings_a_still_picture_of_itself(make: Any) -> None:
    data, _ = make()._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width == pytest.approx(5.6 * 192, abs=1)
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    assert paper.convert("L").getextrema()[0] < 100
    assert "0x" not in data["text/plain"]


@every_figure
def test_a_figure_names_no_other_host_and_fits_its_page(make: Any) -> None:
    source = make()._esm
    assert "://" not in source
    assert "import " not in source
    assert len(source.encode()) < 41_000


def test_a_picture_turns_with_what_it_shows() -> None:
    figure = live.Walk()
    first = figure._repr_mimebundle_()[0]["image/png"]
    assert figure._repr_mimebundle_()[0]["image/png"] == first
    figure.exponent = 4
    assert figure._repr_mimebundle_()[0]["image/png"] != first


def test_the_colours_are_the_books_and_readable_in_the_dark() -> None:
    def luminance(code: str) -> float:
        parts = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground = luminance("#14181e")
    for name, code in COLOURS.items():
        assert f"--ntm-{name}: {code};" in style()
        assert f"--ntm-{name}: {on_dark(code)};" in style()
        assert (luminance(on_dark(code)) + 0.05) / (ground + 0.05) > 4.5, name
    assert on_dark("#000000") == "#ffffff"


def stored() -> list[Any]:
    """Return the figures that the notebooks hold, each with the notebook's name."""
    found = []
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        metadata = nbformat.read(path, as_version=4).metadata
        states = metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
        for model in states.values():
            name = model.state.get("_anywidget_id", "").rpartition(".")[2]
            if name in BY_NAME:
                found.append(pytest.param(name, model.state, id=f"{path.stem}-{name}"))
    return found


def test_the_chapters_have_live_figures() -> None:
    assert {parameter.values[0] for parameter in stored()} == set(BY_NAME)


@pytest.mark.parametrize(("name", "state"), stored())
def test_a_notebook_stores_the_figure_of_today(name: str, state: Any) -> None:
    figure = BY_NAME[name]
    assert state["_esm"] == str(figure._esm), "make refresh renews it"
    assert state["_css"] == str(figure._css), "make refresh renews it"
