import subprocess
from pathlib import Path

import pytest

from common import algorithms
from common.cli.commands import COMMANDS
from common.cli.main import main
from tests.support.logs import own_logging

COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
_shtab_petct petct "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "petct.bash"
    with own_logging(), pytest.MonkeyPatch.context() as patch, path.open("w") as file:
        patch.setattr("sys.stdout", file)
        assert main(["completion", "bash"]) == 0
    return path


def completed(script: Path, *words: str, cwd: Path | None = None) -> set[str]:
    """What bash would offer for the last word."""
    command = ["bash", "-c", COMPLETE, "bash", str(script), "petct", *words]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    return {word.strip() for word in ended.stdout.splitlines()} - {""}


def test_every_command_is_completed(script: Path) -> None:
    assert completed(script, "") >= set(COMMANDS)
    assert completed(script, "ph") == {"phantom"}


def test_algorithms_options_and_choices_are_completed(script: Path) -> None:
    assert completed(script, "run", "") >= set(algorithms.names())
    assert {"--input", "--time-limit"} <= completed(script, "run", "gepnet", "--")
    assert completed(script, "completion", "") >= {"bash", "zsh"}
    assert completed(script, "check", "") >= {"output", "image"}


def test_files_are_completed(script: Path, tmp_path: Path) -> None:
    (tmp_path / "image.tar").touch()
    assert "image.tar" in completed(script, "check", "image", "im", cwd=tmp_path)


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef petct")
