"""A thread for what cannot be interrupted, so that who waits for it can stop waiting.

A computation in a library's native code goes on until it is done, or for ever where a driver hangs. It runs
in a thread of its own; GPU libraries want one and the same thread for everything, too.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from common.errors import MachineError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_END: Any = object()


class OutOfTimeError(MachineError):
    """The deadline came before the result."""

    def __init__(self) -> None:
        super().__init__(
            "the time limit ended before the engine had answered; use a faster machine or a longer "
            "--time-limit"
        )


class Worker:
    """One thread that does what it is told, in order."""

    def __init__(self) -> None:
        self._thread = _WorkerThread()
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether the thread still works on something that was given up."""
        return self._thread.busy

    def call(self, function: Callable[[], T], deadline: float | None = None) -> T:
        """The function's result; raises what it raises.

        Raises `OutOfTimeError` at the deadline, on `time.monotonic`'s clock: the thread goes on, and its
        result is dropped. Nothing is begun after the deadline.
        """
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise OutOfTimeError
        future: Future[T] = Future()
        self._thread.jobs.put((future, function))
        try:
            return future.result(left)
        except TimeoutError:
            if future.done():  # the function's own
                raise
            raise OutOfTimeError from None

    def iterate(self, items: Iterator[T], deadline: float | None = None) -> "RemoteIterator[T]":
        """The items, each made by the thread when it is asked for; raises as `call`."""
        return RemoteIterator(self, items, deadline)


class Closable(Protocol[T_co]):
    """An iterator that may be told to end."""

    def __next__(self) -> T_co:
        """The next item."""

    def __iter__(self) -> Iterator[T_co]:
        """Itself."""

    def close(self) -> None:
        """End where it is."""


class RemoteIterator(Iterator[T], Generic[T]):
    """An iterator whose items another thread makes."""

    def __init__(self, worker: Worker, items: Iterator[T], deadline: float | None) -> None:
        self._next = partial(worker.call, partial(next, items, _END), deadline)
        self._worker = worker
        self._items = items

    def __next__(self) -> T:
        item = self._next()
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Let a generator end where it is; one that still works on an item is left alone."""
        close = getattr(self._items, "close", None)
        if close is not None and not self._worker.is_busy:
            self._worker.call(close)


def is_stuck() -> bool:
    """Whether a thread still works on something that was given up, so that the process must not wait."""
    return any(thread.busy for thread in threading.enumerate() if isinstance(thread, _WorkerThread))


class _WorkerThread(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="engines", daemon=True)
        self.jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self.busy = False

    def run(self) -> None:
        while True:
            future, function = self.jobs.get()
            self.busy = True
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  raised again where the result is awaited
                self.busy = False
                future.set_exception(error)
            else:
                self.busy = False
                future.set_result(result)
                del result
            del future, function  # what they hold must not live until the next job
