"""Give readers of strangers' files inputs that `atheris` chooses for the new code that they reach.

    PYTHONPATH=. .venv/bin/python -m tests.fuzz.cover --inputs 100000 [--reader nii_gz] [--record]

A quarter of the inputs is drawn as in `run.py`, the others are made from those that reached something new.
What must not happen is the same. libFuzzer ends at the first failure, whose input the folder `--keep` takes.
"""

import argparse
import logging
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import atheris
from torch._weights_only_unpickler import Unpickler

with atheris.instrument_imports(include=["common"], enable_loader_override=False):
    from common.errors import ModelError
    from common.export.checkpoints import safe_load, safe_pickle, trial
    from common.export.checkpoints.trial import Limits
    from tests.fuzz.readers import Reader, readers

from tests.fuzz.record import Run, add_run
from tests.fuzz.run import MEMORY, SECONDS, STATE, check

T = TypeVar("T")
LONGEST = 65536


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1000, help="for each reader")
    parser.add_argument("--seconds", type=int, default=0, help="at most, for each reader (default: any)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", action="append", help="name of one reader (default: all)")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-failures"), help="folder for files that failed"
    )
    parser.add_argument("--record", action="store_true", help="keep the result in record.json")
    arguments = parser.parse_args()
    logging.disable()
    Unpickler.load = atheris.instrument_func(Unpickler.load)  # type: ignore[method-assign]
    for module in (safe_load, safe_pickle):
        vars(module)["read_within"] = _read_here_too
    arguments.keep.mkdir(parents=True, exist_ok=True)
    failures = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        for reader in readers(Path(scratch)):
            if reader.name in (arguments.reader or [reader.name]):
                run = cover(reader, Path(scratch), arguments)
                print(run, flush=True)
                failures += run.failures
                if arguments.record:
                    add_run(run)
    return failures > 0


def cover(reader: Reader, scratch: Path, arguments: argparse.Namespace) -> Run:
    """Let libFuzzer, which ends its process, try one reader in a process of its own."""
    started = time.monotonic()
    shared = mmap.mmap(-1, STATE.size)
    process = os.fork()
    if not process:
        with (scratch / f"{reader.name}.log").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            _fuzz(reader, scratch / reader.name / reader.file, shared, arguments)
        except SystemExit as ended:  # whose way out would remove the folder that others still need
            os._exit(int(ended.code or 0))
    _, status, usage = os.wait4(process, 0)
    tried, done, refused, slowest = STATE.unpack_from(shared)
    if status:
        (arguments.keep / f"{reader.name}.log").write_text((scratch / f"{reader.name}.log").read_text())
    return Run(
        reader=reader.name,
        way="coverage",
        seeds=(arguments.seed, arguments.seed + 1),
        inputs=tried,
        read=done,
        refused=refused,
        failures=int(status != 0),
        slowest=round(slowest, 2),
        peak_mib=usage.ru_maxrss >> 10,
        seconds=round(time.monotonic() - started),
    )


def _fuzz(reader: Reader, path: Path, shared: mmap.mmap, arguments: argparse.Namespace) -> None:
    def one(data: bytes) -> None:
        tried, done, refused, slowest = STATE.unpack_from(shared)
        path.write_bytes(data)
        begun = time.process_time()
        was_read = check(reader, path)
        slowest = max(slowest, time.process_time() - begun)
        STATE.pack_into(shared, 0, tried + 1, done + was_read, refused + (not was_read), slowest)

    def changed(data: bytes, most: int, seed: int) -> bytes:
        changed = reader.change(Random(seed))[:most] if seed % 4 == 0 else atheris.Mutate(data, most)
        return bytes(changed)

    options = {
        "atheris_runs": arguments.inputs,
        "max_total_time": arguments.seconds,
        "seed": arguments.seed,
        "max_len": LONGEST,
        "timeout": SECONDS,
        "rss_limit_mb": MEMORY >> 20,
        "artifact_prefix": f"{arguments.keep}/{reader.name}-",
    }
    command = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items())]
    atheris.Setup(command, one, custom_mutator=changed)
    atheris.Fuzz()


def _read_here_too(limits: Limits, read: Callable[[Path], T], path: Path) -> T:
    """As `read_within`, and also here what came to an end there, where it is seen what it reaches."""
    if trial._refusal(limits, read, path) is None:
        raise ModelError(f"{path}: more than the limits")
    return read(path)


if __name__ == "__main__":
    sys.exit(main())
