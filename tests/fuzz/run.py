"""Give every reader of strangers' files many damaged and hostile ones, each drawn from a seed.

    PYTHONPATH=. .venv/bin/python -m tests.fuzz.run --inputs 100000 [--reader nii_gz] [--record]

Each input must be read, or refused with the reader's own failure in one line, with nothing on stderr. It may
take 10 s of processor time and 2 GiB of memory. Readers run in a process of their own, which may crash; a new
one goes on with the next input. Files that failed are kept in a folder, named after reader and number; the
number is the seed. `--record` writes what came of it to `record.json`, of which the page
`docs/reliability.md` is made.
"""

import argparse
import logging
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from common.errors import PetctError
from tests.fuzz.readers import Reader, readers
from tests.fuzz.record import Run, add_run

SECONDS = 10
MEMORY = 2 << 30
LONGEST_MESSAGE = 1300
STATE = struct.Struct("QQQd")
"""Next input, read, refused, most seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1000, help="for each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--reader", action="append", help="name of one reader (default: all)")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-failures"), help="folder for files that failed"
    )
    parser.add_argument("--record", action="store_true", help="keep the result in record.json")
    arguments = parser.parse_args()
    logging.disable()
    failures = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        chosen = [r for r in readers(Path(scratch)) if r.name in (arguments.reader or [r.name])]
        print("reader               inputs    read  refused  most seconds  peak MiB  failures")
        for reader in chosen:
            numbers = range(arguments.first, arguments.first + arguments.inputs)
            run = try_reader(reader, Path(scratch), numbers, arguments.keep)
            failures += run.failures
            if arguments.record:
                add_run(run)
    return failures > 0


def check(reader: Reader, path: Path) -> bool:
    """Whether a file was read; raises what must not happen."""
    with warnings.catch_warnings(action="error"):
        try:
            reader.read(path)
        except reader.failure as error:
            message = str(error)
            assert message.isprintable()
            assert len(message) < LONGEST_MESSAGE
            return False
        except PetctError as error:
            raise AssertionError(f"not the reader's failure: {error}") from error
    return True


def try_reader(reader: Reader, scratch: Path, numbers: range, keep: Path) -> Run:
    """Give a reader the inputs of these seeds, and print what came of it."""
    started = time.monotonic()
    shared = mmap.mmap(-1, STATE.size)
    STATE.pack_into(shared, 0, numbers.start, 0, 0, 0.0)
    log = scratch / f"{reader.name}.log"
    failures = peak = 0
    while (number := STATE.unpack_from(shared)[0]) < numbers.stop:
        child = os.fork()
        if not child:
            _work(reader, scratch, numbers.stop, shared, log)
        _, status, usage = os.wait4(child, 0)
        peak = max(peak, usage.ru_maxrss)
        if status:
            number, done, refused, slowest = STATE.unpack_from(shared)
            failures += 1
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{reader.name}-{number}").write_bytes(reader.change(Random(f"{reader.name} {number}")))
            reason = log.read_text(errors="replace") if log.exists() else ""
            reason = f"signal {status & 127}\n{reason}" if status & 127 else reason
            (keep / f"{reader.name}-{number}.txt").write_text(reason)
            STATE.pack_into(shared, 0, number + 1, done, refused, slowest)
    _, done, refused, slowest = STATE.unpack_from(shared)
    print(
        f"{reader.name:18} {len(numbers):8} {done:7} {refused:8} {slowest:13.2f} {peak >> 10:9} {failures:9}",
        flush=True,
    )
    return Run(
        reader=reader.name,
        way="drawn",
        seeds=(numbers.start, numbers.stop),
        inputs=len(numbers),
        read=done,
        refused=refused,
        failures=failures,
        slowest=round(slowest, 2),
        peak_mib=peak >> 10,
        seconds=round(time.monotonic() - started),
    )


def _work(reader: Reader, scratch: Path, stop: int, shared: mmap.mmap, log: Path) -> None:
    """Try inputs from where the last process left off until one fails; ends this process."""
    stderr = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
    os.dup2(stderr, 1)
    os.dup2(stderr, 2)
    limit_memory(MEMORY)
    path = scratch / reader.name / reader.file
    first, done, refused, slowest = STATE.unpack_from(shared)
    code = 0
    try:
        for number in range(first, stop):
            STATE.pack_into(shared, 0, number, done, refused, slowest)
            path.write_bytes(reader.change(Random(f"{reader.name} {number}")))
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            was_read = check(reader, path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, time.process_time() - started)
            done, refused = done + was_read, refused + (not was_read)
            assert not os.fstat(stderr).st_size, "something on stdout or stderr"
        STATE.pack_into(shared, 0, stop, done, refused, slowest)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        code = 1
    os._exit(code)


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has; further allocations fail."""
    has = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = has + more if most == resource.RLIM_INFINITY else min(has + more, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


if __name__ == "__main__":
    sys.exit(main())
