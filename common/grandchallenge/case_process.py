"""A process of its own that works on cases, one after the other.

Native code that compiles an engine, computes a tile or crashes there keeps nobody waiting but its case.
"""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Protocol

from common.errors import MachineError, PetctError, one_line

logger = logging.getLogger(__name__)

STOPPED = 128 + signal.SIGTERM
"""Exit code of the process when it was told to stop, by this one or by who sent SIGTERM to both."""
SECONDS_TO_END = 2.0
"""What the process has to remove an unfinished file, before it is killed."""


class Cases(Protocol):
    """What is done in the process; what it returns is a line for who called."""

    def prepare(self) -> str:
        """What comes before the first case."""
        ...

    def work(self, start: float) -> str:
        """The case at hand, which began at `start` (`time.monotonic`)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of the preparation, or of a case."""

    exit_code: int
    """That of a process for this case alone."""
    line: str
    """What was done, or why it was not."""


class CaseProcess:
    """Prepares at once. Made before this process has an event loop, which a fork would copy."""

    def __init__(self, cases: Cases) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        ends = (theirs, self._connection)
        self._process = context.Process(target=_work_until_closed, args=(cases, *ends), daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # there, until it has its own handler
        self._process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        theirs.close()
        self.has_ended = False
        """Whether it takes no further case."""
        self.is_stopped = False
        """Whether it has ended because it was told to."""

    def wait_until_prepared(self) -> Outcome:
        """What became of the preparation; to be called once, before `work`."""
        return self._receive()

    def work(self, start: float) -> Outcome:
        """What became of the case at hand, which began at `start` (`time.monotonic`)."""
        with suppress(OSError):  # of a process that has ended, which is noticed below
            self._connection.send(start)
        return self._receive()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.is_stopped = True
        self._process.terminate()
        self._process.join(SECONDS_TO_END)
        self._process.kill()
        self._process.join()

    def _receive(self) -> Outcome:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            self.has_ended = True
            return _outcome_of(MachineError(self._reason_of_end()))

    def _reason_of_end(self) -> str:
        if not self.is_stopped:
            self._process.join()
            self.is_stopped = self._process.exitcode in (STOPPED, -signal.SIGTERM)
        if self.is_stopped:
            return "the case was ended before its mask was there: petct serve was told to stop"
        if self._process.exitcode == -signal.SIGKILL:
            return "the process of the cases was killed, as when memory runs out; use a machine with more"
        return (
            f"the process of the cases ended by itself with exit code {self._process.exitcode}; the log may "
            "say why"
        )


def _work_until_closed(cases: Cases, connection: Connection, theirs: Connection) -> None:
    """Prepare, then take the start of one case after the other, and give what became of each."""
    theirs.close()  # while it is open here, the end of the other process would go unnoticed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches both processes; the other one decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    prepared = _attempt(cases.prepare)
    connection.send(prepared)
    if prepared.exit_code == 0:
        with suppress(EOFError):
            while True:
                connection.send(_attempt(partial(cases.work, connection.recv())))


def _attempt(step: Callable[[], str]) -> Outcome:
    try:
        return Outcome(0, step())
    except PetctError as error:
        return _outcome_of(error)
    except MemoryError as error:
        return _outcome_of(MachineError(f"memory ran out ({error}); use a machine with more"))
    except Exception as error:
        logger.exception("this is a bug; please report it")
        return Outcome(1, one_line(f"{type(error).__name__}: {error}"))


def _outcome_of(error: PetctError) -> Outcome:
    return Outcome(error.exit_code, str(error))
