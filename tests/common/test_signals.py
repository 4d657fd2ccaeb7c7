"""SIGTERM in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.signals import TOLD_TO_STOP, unfinished
from tests.support.platform import REPOSITORY

IN_NATIVE_CODE = """
import sys
from pathlib import Path
from common.signals import end_at_sigterm, unfinished

end_at_sigterm()
import numpy as np

large = np.ones((20_000, 20_000), np.float32)
with unfinished(Path(sys.argv[1])) as path:
    path.write_text("half")
    print("begun", flush=True)
    while True:
        large @ large
"""
AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def begun(tmp_path: Path, *before: str) -> subprocess.Popen[str]:
    """A process that computes a product of matrices, which takes many seconds."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", IN_NATIVE_CODE, tmp_path / "unfinished"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n", process.communicate()[1]
    assert (tmp_path / "unfinished").exists()
    time.sleep(0.2)
    return process


def test_process_in_native_code_ends_at_once_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with begun(tmp_path) as process:
        start = time.monotonic()
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 2
    assert (process.returncode, errors) == (4, f"error: {TOLD_TO_STOP}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root may be process 1 of a namespace")
def test_process_1_ends_in_the_same_way(tmp_path: Path) -> None:
    with begun(tmp_path, *AS_PROCESS_1) as parent:
        (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        _, errors = parent.communicate(timeout=60)
    assert (parent.returncode, errors) == (4, f"error: {TOLD_TO_STOP}\n")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_renamed_in_time_stays(tmp_path: Path) -> None:
    with unfinished(tmp_path / "part") as path:
        path.write_text("whole")
        path.replace(tmp_path / "file")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_not_finished_goes(tmp_path: Path) -> None:
    with unfinished(tmp_path / "part") as path:
        path.write_text("half")
    assert not list(tmp_path.iterdir())
