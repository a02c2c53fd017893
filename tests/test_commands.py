"""Bad input to the commands: one line that says what is missing and what to do.

`.ci/install` and `.ci/test` run in a folder of their own, with a PATH on which `python3`
and `apt-get` are there only if the test has put a pretended one.
"""

import contextlib
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ["awk", "bash", "cat", "chmod", "cksum", "cut", "date", "dirname", "grep"]
TOOLS += ["mkdir", "rm", "sed", "sh", "sleep", "sort", "tail"]

# A pretended python3: what each of its uses does is up to the file's last lines.
PYTHON = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
  *"import ensurepip"*) {ensurepip} ;;
  "-m venv .venv")
    mkdir -p .venv/bin
    echo "command = venv $(pwd -P)/.venv" >.venv/pyvenv.cfg
    cat "$0" >.venv/bin/python
    chmod +x .venv/bin/python ;;
  *"-m pip install"*) {pip} ;;
  *get_path*) {headers} ;;
  *"print("*) echo python3.11-dev ;;
  *playwright*) exit 1 ;;
esac
"""


class Place:
    """A folder with the install script, and a PATH that holds what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / ".ci").mkdir()
        for name in (
            "pyproject.toml",
            "constraints.txt",
            ".ci/install",
            ".ci/run",
            ".ci/test",
        ):
            shutil.copy(ROOT / name, folder / name)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def has(self, name: str, script: str = "#!/bin/sh\n") -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def has_python(
        self, ensurepip: str = ":", pip: str = ":", headers: str = ":"
    ) -> None:
        self.has(
            "python3", PYTHON.format(ensurepip=ensurepip, pip=pip, headers=headers)
        )

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment |= {"PATH": str(self.bin), "CALLS": str(self.folder / "calls")}
        return subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )

    def complaint(self, command: str = ".ci/install book", **environment: str) -> str:
        """Return the single line with which the command fails."""
        result = self.run(command, **environment)
        assert result.returncode != 0, result.stdout
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_python_it_says_which_to_install(place: Place) -> None:
    assert "install Python 3.11 or later" in place.complaint()


def test_an_old_python_is_not_taken(place: Place) -> None:
    place.has("python3", "#!/bin/sh\nexit 1\n")
    assert "older than 3.11" in place.complaint()


def test_a_named_python_is_the_only_one_looked_at(place: Place) -> None:
    place.has_python()
    assert "/no/such/python is not there" in place.complaint(PYTHON="/no/such/python")


def test_without_venv_it_names_the_package(place: Place) -> None:
    place.has_python(ensurepip="exit 1")
    assert "apt-get install python3-venv" in place.complaint()


def test_without_network_it_says_so(place: Place) -> None:
    place.has_python(
        pip='echo "WARNING: connection broken by NewConnectionError"; exit 1'
    )
    assert "No network" in place.complaint()


def test_any_other_trouble_of_pip_is_passed_on(place: Place) -> None:
    place.has_python(pip='echo "ERROR: No space left on device"; exit 1')
    assert "ERROR: No space left on device" in place.complaint()


def test_what_failed_is_tried_again_and_what_is_done_is_not(place: Place) -> None:
    place.has_python(pip='[ -e "$WORKS" ]')
    assert "could not be installed" in place.complaint(WORKS="/no/such/file")
    for _ in range(2):
        assert place.run(".ci/install book", WORKS="/").returncode == 0
    installs = [call for call in place.calls() if "--group book" in call]
    assert len(installs) == 1


def test_an_environment_left_half_filled_is_made_anew(place: Place) -> None:
    place.has_python()
    assert place.run(".ci/install book").returncode == 0
    (place.folder / ".venv" / "filling").touch()
    assert place.run(".ci/install book").returncode == 0
    assert place.calls().count("-m venv .venv") == 2


def test_a_changed_constraint_is_installed(place: Place) -> None:
    place.has_python()
    assert place.run(".ci/install book").returncode == 0
    with (place.folder / "constraints.txt").open("a") as file:
        file.write("newer==2\n")
    assert place.run(".ci/install book").returncode == 0
    assert len([call for call in place.calls() if "--group book" in call]) == 2


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("g++", "install g++"),
        ("headers", "install python3.11-dev"),
        ("chromium", "install chromium"),
    ],
)
def test_tests_are_not_run_without_their_tools(
    place: Place, missing: str, advice: str
) -> None:
    place.has_python(headers="exit 1" if missing == "headers" else ":")
    for tool in {"g++", "chromium"} - {missing}:
        place.has(tool)
    assert advice in place.complaint(".ci/install test")


def test_training_needs_a_compiler_and_no_browser(place: Place) -> None:
    place.has_python()
    assert "install g++" in place.complaint(".ci/install train")
    place.has("g++")
    assert place.run(".ci/install train").returncode == 0
    wants = [call for call in place.calls() if "-e ." in call]
    assert wants
    assert not any("--group" in call for call in wants)


def test_rebuilding_needs_neither(place: Place) -> None:
    place.has_python(headers="exit 1")
    assert place.run(".ci/install rebuild").returncode == 0


def test_a_pdf_needs_a_browser_and_an_epub_does_not(place: Place) -> None:
    place.has_python()
    assert "The PDF needs Chromium" in place.complaint(".ci/install pdf")
    assert place.run(".ci/install epub").returncode == 0
    place.has("chromium")
    assert place.run(".ci/install pdf").returncode == 0


def test_an_unknown_goal_is_refused(place: Place) -> None:
    assert "usage" in place.complaint(".ci/install everything")


def test_without_make_the_checks_say_so(place: Place) -> None:
    assert "make is missing" in place.complaint(".ci/run")


# What a stage of `make test` says.

SLOW_AND_WRONG = """
import time, pytest

@pytest.mark.parametrize("name", ["right", "it's wrong"])
def test_a_page(name):
    time.sleep(2)
    assert name == "right"
"""


# No other plugin is loaded: that takes seconds.
ONLY_XDIST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}


def has_checker(place: Place, script: str) -> None:
    """Put a Python into .venv that does what a script says, and nothing to install."""
    (place.folder / ".ci" / "install").write_text("#!/bin/sh\n")
    (place.folder / ".venv" / "bin").mkdir(parents=True)
    place.has("../.venv/bin/python", f"#!/bin/sh\n{script}\n")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """Return what a stage printed in which one of two tests has failed, and where."""
    place = Place(tmp_path_factory.mktemp("failed"))
    has_checker(place, f'exec {shlex.quote(sys.executable)} "$@"')
    (place.folder / "tests").mkdir()
    (place.folder / "tests" / "test_pages.py").write_text(SLOW_AND_WRONG)
    result = place.run(".ci/test browser", EVERY="1", **ONLY_XDIST)
    assert result.returncode == 1, result.stderr
    return place, result.stdout


def test_a_stage_says_while_it_works_which_test_it_is_at(
    failed: tuple[Place, str],
) -> None:
    before, _, _ = failed[1].partition("FAILED")
    assert re.search(
        r"^browser +\d+ s +tests/test_pages.py::test_a_page\[", before, re.M
    )


def test_a_stage_that_fails_shows_the_failure_and_no_test_that_passed(
    failed: tuple[Place, str],
) -> None:
    assert 'assert name == "right"' in failed[1]
    assert "test_a_page[right]" not in failed[1].partition("FAILED")[2]


def test_a_stage_that_fails_says_how_to_run_that_test_alone(
    failed: tuple[Place, str],
) -> None:
    place, printed = failed
    commands = printed.partition("To run it alone:\n")[2].splitlines()
    assert len(commands) == 1, printed
    alone = place.run(f"sh -c {shlex.quote(commands[0])}", **ONLY_XDIST)
    assert alone.returncode == 1
    assert "= 1 failed in " in alone.stdout, alone.stdout


@pytest.mark.parametrize(
    ("stage", "said", "alone"),
    [
        ("lint", "x.py:1:1: F401", ".ci/test lint"),
        ("unit", "coverage of 99 % is less than 100", ".ci/test unit"),
        (
            "notebooks",
            "[gw0] [1/2] FAILED book/far::ipynb::Cell 3 ",
            ".venv/bin/python -m pytest --nbval --nbval-current-env book/far.ipynb",
        ),
    ],
)
def test_what_fails_without_a_test_of_its_own_is_run_alone_too(
    place: Place, stage: str, said: str, alone: str
) -> None:
    has_checker(place, f"echo '{said}'; exit 1")
    printed = place.run(f".ci/test {stage}").stdout
    assert printed.endswith(f"To run it alone:\n  {alone}\n"), printed


def test_on_a_terminal_a_stage_keeps_to_one_line(place: Place) -> None:
    has_checker(place, "echo tests/a.py::test_b; sleep 3; echo 1 passed in 3 s")
    terminal, of_process = pty.openpty()
    environment = {"PATH": str(place.bin)}
    subprocess.run(
        [".ci/test", "browser"], cwd=place.folder, env=environment, stdout=of_process
    ).check_returncode()
    os.close(of_process)
    shown = ""
    with contextlib.suppress(OSError):  # what the end of a terminal is on Linux
        while part := os.read(terminal, 10_000):
            shown += part.decode()
    os.close(terminal)
    assert "tests/a.py::test_b" in shown
    assert shown.count("\n") == 1
    last = shown.rpartition("\x1b[K")[2]
    assert re.fullmatch(r"browser +\d+ s  1 passed\r\n", last), shown


TESTS_OF_PAGES = """
import pytest

@pytest.fixture(params=["a.html-light", "a.html-dark", "b.html-light"])
def visit(request): pass

def test_one(visit): pass
def test_two(visit): pass
def test_three(visit): pass
"""


def test_the_tests_of_a_page_and_theme_run_in_one_process(place: Place) -> None:
    has_checker(place, f'exec {shlex.quote(sys.executable)} "$@"')
    tests = place.folder / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "groups.py", tests / "conftest.py")
    for name in ("test_pages.py", "test_pages_live.py"):
        (tests / name).write_text(TESTS_OF_PAGES)
    assert place.run(".ci/test browser", **ONLY_XDIST).returncode == 0
    log = (place.folder / "_build" / "test" / "browser.log").read_text()
    ran = re.findall(r"^\[(gw\d)\] .*\[(.*)\] *$", log, re.M)
    assert len(ran) == 18
    assert len({page for _, page in ran}) == len(set(ran)) == 3


def test_an_unknown_stage_is_refused(place: Place) -> None:
    assert "pages is no stage" in place.complaint(".ci/test pages")
