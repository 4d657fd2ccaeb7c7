"""SIGTERM, which ends a process with one line, whatever native code it is in.

Python's own handlers wait for the main thread, which a computation may hold for minutes; and process 1 of a
container ignores a signal that it has no handler for.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import MachineError

TOLD_TO_STOP = "ended by SIGTERM before the mask was there; give the run more time, or leave it alone"

_unfinished: set[Path] = set()


def end_at_sigterm() -> None:
    """From now on, SIGTERM removes unfinished files and ends the process as a `MachineError` does.

    To be called before any other thread is there, which NumPy's import makes some, and by no process that
    starts others: they would inherit that the signal is blocked.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait, name="SIGTERM", daemon=True).start()


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file that is of no use before the block ends: it is removed unless it was renamed by then."""
    _unfinished.add(path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        _unfinished.discard(path)


def _wait() -> None:
    signal.sigwait({signal.SIGTERM})
    for path in tuple(_unfinished):
        path.unlink(missing_ok=True)
    sys.stdout.flush()
    os.write(sys.stderr.fileno(), f"error: {TOLD_TO_STOP}\n".encode())
    os._exit(MachineError.exit_code)
