import os
import threading
import time
import weakref
from functools import partial

import pytest

from common.errors import MachineError
from common.inference.engines.worker import OutOfTimeError, Worker, is_stuck


class Thing:
    """Something to hold."""


def is_soon_gone(reference):
    """The thread lets go just after the result is there."""
    for _ in range(500):
        if reference() is None:
            return True
        time.sleep(0.01)
    return False


def test_results_and_errors_come_back():
    worker = Worker()
    assert worker.call(lambda: 3) == 3
    with pytest.raises(KeyError, match="lost"):
        worker.call(partial(os.environ.__getitem__, "lost"))
    with pytest.raises(TimeoutError, match="own"):
        worker.call(lambda: (_ for _ in ()).throw(TimeoutError("own")), time.monotonic() + 60)


def test_everything_happens_in_one_other_thread():
    worker = Worker()
    threads = {worker.call(threading.get_ident) for _ in range(5)}
    threads |= set(worker.iterate(threading.get_ident() for _ in range(5)))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_a_deadline_ends_the_wait_and_not_the_work():
    worker, released = Worker(), threading.Event()
    with pytest.raises(OutOfTimeError, match="the time limit ended") as caught:
        worker.call(lambda: released.wait(60), time.monotonic() + 0.05)
    assert isinstance(caught.value, MachineError)
    assert worker.is_busy
    assert is_stuck()
    released.set()
    assert worker.call(lambda: "next") == "next"
    assert not worker.is_busy


def test_nothing_begins_after_the_deadline():
    begun = []
    with pytest.raises(OutOfTimeError):
        Worker().call(lambda: begun.append(1), time.monotonic() - 1)
    assert not begun


def test_items_are_made_when_they_are_asked_for():
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield number

    remote = Worker().iterate(items())
    assert not made
    assert next(remote) == 0
    assert made == [0]
    assert list(remote) == [1, 2]


def test_closing_ends_a_generator_where_it_is():
    ended = []

    def items():
        try:
            yield 1
            yield 2
        finally:
            ended.append(threading.get_ident())

    worker = Worker()
    remote = worker.iterate(items())
    next(remote)
    remote.close()
    assert ended == [worker.call(threading.get_ident)]
    assert list(remote) == []


def test_what_was_called_is_not_held_until_the_next_call():
    worker, thing = Worker(), Thing()
    gone = weakref.ref(thing)
    worker.call(partial(id, thing))
    del thing
    assert is_soon_gone(gone)


def test_an_item_is_not_held_until_the_next():
    remote = Worker().iterate(Thing() for _ in range(2))
    reference = weakref.ref(next(remote))
    assert is_soon_gone(reference)
