import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.errors import InputError, MachineError, ModelError
from common.export.checkpoints import trial
from common.export.checkpoints.trial import Limits, read_within
from common.memory import MIB
from tests.support.platform import REPOSITORY

LIMITS = Limits(100 * MIB, 1)


def text(path: Path) -> str:
    return path.read_text()


def refuses(path: Path) -> None:
    raise InputError(f"{path}: not\nliked")


def has_a_bug(path: Path) -> None:
    raise KeyError(path)


def in_the_other_process() -> bool:
    return resource.getrlimit(resource.RLIMIT_STACK)[0] == trial.STACK


def only_there(path: Path) -> None:
    """What must not happen here: it is refused there."""
    if not in_the_other_process():
        os.kill(os.getpid(), signal.SIGKILL)
    raise ModelError(f"{path}: refused there")


def takes_memory(_: Path) -> int:
    return len(bytearray(400 * MIB))


def takes_time(_: Path) -> None:
    while True:
        pass


def crashes(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def complains(_: Path) -> None:
    os.write(sys.stderr.fileno(), b"what is this?\n")


def is_nested_too_deep(_: Path) -> int:
    nested: tuple[object, ...] = ()
    for _depth in range(20_000):
        nested = (nested,)
    return hash(nested)


def ends_the_server(_: Path) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "checkpoint.pth"
    target.write_text("content")
    return target


def test_what_keeps_the_limits_is_read(path: Path) -> None:
    assert read_within(LIMITS, text, path) == "content"


def test_the_other_process_message_is_this_ones_in_one_line(path: Path) -> None:
    with pytest.raises(ModelError, match=r"checkpoint\.pth: not\\nliked"):
        read_within(LIMITS, refuses, path)


def test_a_refused_file_is_not_read_here(path: Path) -> None:
    with pytest.raises(ModelError, match="refused there"):
        read_within(LIMITS, only_there, path)


@pytest.mark.parametrize("read", [takes_memory, takes_time, crashes, is_nested_too_deep])
def test_what_breaks_a_limit_or_crashes_is_refused_and_the_next_is_read(path: Path, read: object) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError, match="more than 100 MiB and 1 s suffice to read"):
        read_within(LIMITS, read, path)  # type: ignore[arg-type]
    assert time.monotonic() - started < 10
    assert read_within(LIMITS, text, path) == "content"


def test_what_makes_the_interpreter_complain_is_refused(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="makes the interpreter complain"):
        read_within(LIMITS, complains, path)
    assert capfd.readouterr() == ("", "")


def test_a_bug_stays_a_bug(path: Path) -> None:
    with pytest.raises(KeyError):
        read_within(LIMITS, has_a_bug, path)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_pipe_or_device_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "checkpoint.pth"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="a pipe or device"):
        read_within(LIMITS, text, path)


def test_a_process_that_is_gone_is_the_machines_failure_and_replaced(path: Path) -> None:
    with pytest.raises(MachineError, match=r"checkpoint\.pth: the process that reads checkpoints first"):
        read_within(LIMITS, ends_the_server, path)
    assert read_within(LIMITS, text, path) == "content"


def test_the_other_process_ends_with_this_one(path: Path) -> None:
    code = f"""
from pathlib import Path
from common.export.checkpoints import safe_pickle, trial
from tests.common.export.checkpoints.test_trial import LIMITS, text
trial.read_within(LIMITS, text, Path({str(path)!r}))
print(trial._server().process.pid)
"""
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    assert not Path(f"/proc/{int(shown)}").exists()
