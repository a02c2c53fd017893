"""Bad input to the commands: one line that says what is missing and what to do.

`.ci/install` runs in a folder of its own, with a PATH on which `python3` and `apt-get`
are there only if the test has put a pretended one.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = [
    "bash",
    "cat",
    "chmod",
    "cksum",
    "dirname",
    "grep",
    "mkdir",
    "rm",
    "sh",
    "tail",
]

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
        for name in ("pyproject.toml", "constraints.txt", ".ci/install", ".ci/run"):
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
            command.split(),
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


def test_an_unknown_goal_is_refused(place: Place) -> None:
    assert "usage" in place.complaint(".ci/install everything")


def test_without_make_the_checks_say_so(place: Place) -> None:
    assert "make is missing" in place.complaint(".ci/run")
