"""What `tests/fuzz/kills.py` tries at random moments of whole runs, at each step of writing."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from common.grandchallenge.writing import UNFINISHED, write_mask
from tests.support.platform import GRID, run_python

EARLIER, LATER = (np.random.default_rng(seed).integers(0, 2, GRID.shape, np.uint8) for seed in (1, 2))
IN_A_PROCESS = "from tests.fuzz.test_kills import kill_at_each_step; kill_at_each_step(argv[1], *argv[2:])"


def kill_at_each_step(folder: str, *earlier: str) -> None:
    """Print which masks are there after SIGKILL at each step of writing one, and after its end."""
    found: list[list[tuple[str, str]]] = []
    goes_on = True
    while goes_on:
        for path in Path(folder).glob("*"):
            path.unlink()
        if earlier:
            write_mask(EARLIER, GRID, Path(folder), "case")
        process = os.fork()
        if not process:
            _kill_after(len(found))
            write_mask(LATER, GRID, Path(folder), "case")
            os._exit(0)
        goes_on = os.waitpid(process, 0)[1] == signal.SIGKILL
        masks = [path for path in Path(folder).glob("*") if not path.name.endswith(UNFINISHED)]
        found.append([(path.name, path.read_bytes().hex()) for path in masks])
    json.dump(found, sys.stdout)


def _kill_after(steps: int) -> None:
    """A step is what Python's audit hooks notice: a file that is opened, renamed or removed."""
    left = steps

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == -1:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)


@pytest.mark.parametrize("has_earlier", [True, False])
def test_a_kill_at_any_step_leaves_a_whole_mask_or_none(tmp_path: Path, has_earlier: bool) -> None:
    later = write_mask(LATER, GRID, tmp_path, "case").read_bytes().hex()
    earlier = write_mask(EARLIER, GRID, tmp_path, "case").read_bytes().hex()
    found = json.loads(run_python(IN_A_PROCESS, tmp_path / "output", *["earlier"] * has_earlier))
    before = [["case.mha", earlier]] if has_earlier else []
    steps = found.index([["case.mha", later]])
    assert steps > 5
    assert found[:steps] == [before] * steps
    assert found[steps:] == [[["case.mha", later]]] * (len(found) - steps)
