"""`petct serve` with cases that do what files of the input folder, `prepare` and `work`, name.

The file `healthy_by` has the seconds in which it must be healthy, where they are not the command's own.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common.cli import serve
from common.cli.main import main
from common.errors import InputError, MachineError, ModelError


class ToyCases:
    """In place of `SessionCases`."""

    def __init__(self, arguments: argparse.Namespace, healthy_by: float) -> None:
        self._folder: Path = arguments.input

    def prepare(self) -> str:
        return self._do("prepare", 0)

    def work(self, start: float) -> str:
        return self._do("work", start)

    def _do(self, name: str, start: float) -> str:
        STEPS[(self._folder / name).read_text()](self._folder)
        return f"{name} done, {time.monotonic() - start:.3f} s"


def refuse_input(folder: Path) -> None:
    raise InputError("images/pet: 0 images")


def refuse_model(folder: Path) -> None:
    raise ModelError("model.json: altered")


def refuse_machine(folder: Path) -> None:
    raise MachineError("2 GiB are free")


def run_out_of_memory(folder: Path) -> None:
    raise MemoryError("unable to allocate")


def have_a_bug(folder: Path) -> None:
    raise KeyError("voxel")


def be_killed(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_a_second(folder: Path) -> None:
    time.sleep(1)


def hold_the_interpreter(folder: Path) -> None:
    """Native code that lets no other Python thread run, for seconds."""
    (folder / "began").touch()
    sum(range(10**8))


def write_slowly(folder: Path) -> None:
    unfinished = folder / ".unfinished"
    try:
        unfinished.touch()
        time.sleep(60)
    finally:
        unfinished.unlink()


STEPS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "refuse input": refuse_input,
    "refuse model": refuse_model,
    "refuse machine": refuse_machine,
    "run out of memory": run_out_of_memory,
    "have a bug": have_a_bug,
    "be killed": be_killed,
    "take a second": take_a_second,
    "hold the interpreter": hold_the_interpreter,
    "write slowly": write_slowly,
}

if __name__ == "__main__":
    serve.SessionCases = ToyCases  # type: ignore[misc, assignment]
    limit = Path(sys.argv[sys.argv.index("--input") + 1], "healthy_by")
    if limit.exists():
        serve.WARM_UP_SECONDS = float(limit.read_text())
    sys.exit(main())
