"""The parts of *Rebuild it*: the book's own file passes, each known mistake is named."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from ntm import minimal
from ntm.book import rebuild
from ntm.book.rebuild import whole

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "book" / "rebuild.md").read_text(encoding="utf-8")
SOURCE = Path(minimal.__file__).read_text(encoding="utf-8")
COSINE = "normalize(key, dim=-1, eps=1e-3) @ normalize(memory, dim=-1, eps=1e-3).mT"
CONTENT = "torch.softmax(softplus(strength) * cosine, dim=-1)"
GATED = "g * content + (1 - g) * previous"
SHIFTED = "back * gated.roll(-1, -1) + stay * gated + on * gated.roll(1, -1)"
SHARPENED = "torch.softmax((1 + softplus(exponent)) * (shifted + 1e-30).log(), dim=-1)"
MIRRORED = "on * gated.roll(-1, -1) + stay * gated + back * gated.roll(1, -1)"

# What is in the file, what stands there by mistake, the part that says so, and how.
MISTAKES = [
    # reading and writing
    (
        "return weighting @ memory",
        "return memory[:, 0:1]",
        "Reading",
        "All weight on row",
    ),
    (
        "return weighting @ memory",
        "pass",
        "Reading",
        "expected float32 of shape (1, 1, 2), got nothing",
    ),
    (
        "return erased + weighting.mT @ add",
        "return memory + weighting.mT @ (add - erase)",
        "Writing",
        "row 1:\nexpected [7 9], got [9 12]",
    ),
    (
        "memory * (1 - weighting.mT @ erase)",
        "(memory + weighting.mT @ add) * (1 - weighting.mT @ erase); add = 0 * add",
        "Writing",
        "row 1:\nexpected [7 9], got [0 0]",
    ),
    (
        "memory * (1 - weighting.mT @ erase)",
        "memory.mul_(1 - weighting.mT @ erase)",
        "Writing",
        "The old memory",
    ),
    # content
    (COSINE, "key @ memory.mT", "Finding by content", "row 1 is long"),
    (
        COSINE,
        "normalize(key, dim=-1) @ memory.mT / memory.norm()",
        "Finding by content",
        "row 1 is long",
    ),
    (
        COSINE,
        COSINE.replace("1e-3", "0"),
        "Finding by content",
        "rows 0 and 2 are zeros:\nexpected [0 1 0 0], got [nan",
    ),
    (
        CONTENT,
        CONTENT.replace("(strength)", "(strength).clamp(max=10)"),
        "Finding by content",
        "10°",
    ),
    (
        CONTENT,
        "normalize((softplus(strength) * cosine).exp(), p=1, dim=-1)",
        "Finding by content",
        "got [nan",
    ),
    (
        CONTENT,
        CONTENT.replace("softplus", ""),
        "Finding by content",
        "softplus(−99) = 0",
    ),
    (CONTENT, CONTENT.replace("softplus", "torch.relu"), "The head", "Strength −1"),
    # gate
    ("torch.sigmoid(gate)", "softplus(gate)", "The gate", "open (99)"),
    ("torch.sigmoid(gate)", "gate", "The gate", "open (99)"),
    (
        GATED,
        "g * previous + (1 - g) * content",
        "The gate",
        "open (99):\nexpected [1 0 0 0], got [0 0 1 0]",
    ),
    ("torch.sigmoid(gate)", "gate.clamp(-0.5, 0.5) + 0.5", "The head", "Gate 1"),
    # shift
    (
        SHIFTED,
        MIRRORED,
        "The shift",
        "offset +1, from 1:\nexpected [0 0 1 0 0], got [1 0 0 0 0]",
    ),
    (
        SHIFTED,
        "back * nn.functional.pad(gated[..., 1:], (0, 1)) + stay * gated + on * nn.functional.pad(gated[..., :-1], (1, 0))",
        "The shift",
        "from the last of five",
    ),
    (SHIFTED, SHIFTED.replace(", -1)", ")"), "The shift", "as one batch"),
    (
        "torch.softmax(kernel, dim=-1)",
        "torch.softmax(kernel[:1], dim=-1)",
        "The shift",
        "as one batch",
    ),
    (
        "torch.softmax(kernel, dim=-1)",
        "normalize(torch.sigmoid(kernel), p=1, dim=-1)",
        "The head",
        "Kernel (0, 1, 2)",
    ),
    # sharpening
    (
        SHARPENED,
        "shifted",
        "Sharpening",
        "γ = 2:\nexpected [0.9 0.1 0 0], got [0.75 0.25 0 0]",
    ),
    (
        SHARPENED,
        "(p := shifted ** (1 + softplus(exponent))) / p.sum(-1, True)",
        "Sharpening",
        "1/128",
    ),
    (
        SHARPENED,
        "(p := shifted ** (1 + softplus(exponent))) / (p.sum(-1, True) + 1e-16)",
        "Sharpening",
        "1/128",
    ),
    (
        SHARPENED,
        "(p := shifted ** (1 + softplus(exponent))) / (p.sum(-1, True) + 1e-3)",
        "Sharpening",
        "γ = 2:\nexpected [0.9 0.1 0 0], got [0.899 0.1 0 0]",
    ),
    (SHARPENED, SHARPENED.replace("1 + softplus", "softplus"), "Sharpening", "γ = 1"),
    (SHARPENED, SHARPENED.replace("softplus", "torch.relu"), "Sharpening", "0.5413"),
    (SHARPENED, SHARPENED.replace(" + 1e-30", ""), "The gradients", "got [nan"),
    # the machine
    (
        "torch.randn(width)",
        "torch.randn(128, width)",
        "The layers",
        "first_row:\nexpected float32 of shape (4,)",
    ),
    (
        "torch.eye(1, locations)",
        "torch.zeros(1, locations)",
        "The first state",
        "expected [1 0 0 0 0], got [0 0 0 0 0]",
    ),
    (
        "torch.eye(1, locations)",
        "torch.full((1, locations), 1 / locations)",
        "The first state",
        "got [0.2 0.2 0.2 0.2 0.2]",
    ),
    (
        ".to(memory).expand",
        ".to(memory.dtype).expand",
        "The first state",
        "expected it there, got it on the cpu",
    ),
    (
        "address(memory, writing, to_write)",
        "address(memory, reading, to_write)",
        "A step",
        "The write head's weighting",
    ),
    (
        "address(memory, reading, to_read)",
        "address(memory, writing, to_read)",
        "A step",
        "The read head's weighting",
    ),
    (
        "torch.cat([x, r], dim=-1)",
        "torch.cat([r, x], dim=-1)",
        "A step",
        "The controller",
    ),
    ("self.heads(h)", "self.heads(h.atanh())", "A step", "The write head's weighting"),
    ("torch.sigmoid(erase), add", "erase, add", "A step", "The memory after the write"),
    (
        "torch.sigmoid(erase), add",
        "torch.sigmoid(erase), torch.tanh(add)",
        "A step",
        "The memory after the write",
    ),
    (
        "        r = read(memory, reading)\n        return self",
        "        read_now = read(memory, reading)\n        return self",
        "A step",
        "What is read",
    ),
    (
        "return self.output(torch.cat([h, r], dim=-1)), (",
        "return torch.sigmoid(self.output(torch.cat([h, r], dim=-1))), (",
        "A step",
        "The answer",
    ),
    (
        "dim=-1)), (memory, writing, reading, r)",
        "dim=-1))",
        "A step",
        "no tuple of an answer and a state",
    ),
    (
        "state, answers = self.start(inputs.shape[1], locations), []",
        "answers = []; state = self.__dict__.setdefault('kept', self.start(inputs.shape[1], locations)); keep = self.kept",
        "A sequence",
        "",
    ),
    (
        "(memory, writing, reading, r)\n\n",
        "(memory.detach(), writing, reading, r)\n\n",
        "The gradients",
        "expected [",
    ),
    # the task
    (
        "inputs[length, :, 8] = 1",
        "inputs[length] = 1",
        "The task",
        "the inputs, step 3, sequence 0",
    ),
    (
        "inputs[length, :, 8] = 1",
        "inputs[length, :, 8] = 1; inputs[length + 1 :, :, :8] = vectors",
        "The task",
        "the inputs, step 4",
    ),
    (
        "torch.randint(0, 2,",
        "torch.randint(0, 1,",
        "The task",
        "expected others, got the same",
    ),
    (
        "(length, batch, 8)).float()",
        "(length, 1, 8)).float().expand(-1, batch, -1)",
        "The task",
        "another sequence",
    ),
    ("(length, batch, 8)).float()", "(length, batch, 8))", "The task", "got int64"),
]


def machine(folder: Path, *changes: tuple[str, str]) -> ModuleType:
    """The book's file, changed."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    file = folder / "machine.py"
    file.write_text(source, encoding="utf-8")
    return rebuild.load(file)


def first_wrong(machine: ModuleType) -> tuple[str, str] | None:
    """The first part that is wrong but for the training, and what is said of it."""
    for part in rebuild.PARTS[:-1]:
        says = rebuild.look(part, machine)
        if says is not None:
            return part.title, says
    return None


def test_the_books_own_file_passes_every_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It learns sequences of one vector, which takes a second."""
    monkeypatch.setattr(whole, "LONGEST", 1)
    assert rebuild.main([minimal.__file__]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"(?m)^ *(\d+)  .* right$", printed) == [
        str(n + 1) for n in range(len(rebuild.PARTS))
    ]
    assert "It copies, after " in printed
    assert not (Path(minimal.__file__).parent / "test_machine.py").exists()


@pytest.mark.parametrize(("old", "new", "title", "says"), MISTAKES)
def test_a_known_mistake_is_named_by_its_part(
    old: str, new: str, title: str, says: str, tmp_path: Path
) -> None:
    wrong = first_wrong(machine(tmp_path, (old, new)))
    assert wrong is not None, "no part says anything"
    assert wrong[0] == title, wrong[1]
    assert says in wrong[1]


def test_a_machine_that_does_not_learn_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(whole, "UPDATES", 50)
    monkeypatch.setattr(whole, "SEEDS", 2)
    monkeypatch.setattr(whole, "LONGEST", 1)
    learns_nothing = machine(
        tmp_path, ("return torch.stack(answers)", "return 0 * torch.stack(answers)")
    )
    says = rebuild.look(rebuild.PARTS[-1], learns_nothing)
    assert says is not None
    assert re.search(r"expected 0 of 800 bits wrong, got [34]\d\d\n", says)
    assert capsys.readouterr().out.count("Training, seed") == 2


def test_a_reader_begins_with_an_empty_file_that_is_then_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is told with its line; so is a file that does not run."""
    monkeypatch.chdir(tmp_path)

    def run(written: str = "") -> str:
        with rebuild.FILE.open("a", encoding="utf-8") as file:
            file.write(written)
        mine = rebuild.FILE.read_bytes()
        assert rebuild.main([]) == 1
        assert rebuild.FILE.read_bytes() == mine
        return capsys.readouterr().out

    assert rebuild.main([]) == 1
    first = capsys.readouterr().out
    assert first.startswith(f"{rebuild.FILE} is new.")
    assert (
        " 1  Reading              not yet\n\nWrite `read(memory, weighting)`" in first
    )
    nodes = ast.parse(rebuild.FILE.read_text(encoding="utf-8")).body
    assert [type(node).__name__ for node in nodes] == ["Expr", "Import", "ImportFrom"]
    lines = rebuild.FILE.read_text(encoding="utf-8").count("\n")
    error = run("def read(memory, weighting):\n    return weighting @ memories\n")
    assert f"got NameError: name 'memories' is not defined (line {lines + 2})" in error
    right = run("def read(memory, weighting):\n    return weighting @ memory\n")
    assert " 1  Reading              right\n 2  Writing              not yet\n" in right
    assert "Write `write(memory, weighting, erase, add)`" in right
    assert "does not run: SyntaxError" in run("def write(\n")


def test_the_parts_are_tests_for_pytest_too(tmp_path: Path) -> None:
    (tmp_path / "machine.py").write_text(
        "def read(memory, weighting):\n    return weighting @ memory\n"
    )
    (tmp_path / "test_machine.py").write_text(rebuild.TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "."]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed" in result.stdout
    assert "Write `write(memory, weighting, erase, add)`" in result.stdout
    assert "Traceback" not in result.stdout


def test_each_part_names_its_chapter() -> None:
    for part in rebuild.PARTS:
        title, name = part.chapter
        cells = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4).cells
        assert cells[0].source.startswith(f"# {title}\n")


def test_the_page_lists_the_parts_and_shows_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = re.findall(r"(?m)^\| (\d+) (.*?) \| .* \| \{doc\}`(\w+)` \|$", PAGE)
    assert rows == [
        (str(n), part.title, part.chapter[1])
        for n, part in enumerate(rebuild.PARTS, start=1)
    ]
    mirrored = machine(tmp_path, (SHIFTED, MIRRORED)).__file__
    assert rebuild.main([str(mirrored)]) == 1
    (shown,) = re.findall(r"(?s)```text\n(.*?)```", PAGE)
    assert capsys.readouterr().out == shown


def test_it_takes_fewer_than_a_hundred_lines() -> None:
    assert "hundred\nlines" in PAGE or "hundred lines" in PAGE
    assert SOURCE.split("\nif __name__")[0].count("\n") < 100
