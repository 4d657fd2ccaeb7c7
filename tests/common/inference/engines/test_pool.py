import threading
import time
from pathlib import Path

import numpy as np
import pytest

from common.errors import MachineError
from common.inference.engines import pool as module
from common.inference.engines.contract import EngineInfo, TileByTile
from common.inference.engines.pool import EnginePool
from common.inference.engines.worker import OutOfTimeError
from common.inference.files import NetworkFiles

A, B, C = (NetworkFiles(Path(f"{name}.onnx")) for name in "abc")
TILE = np.ones((1, 4, 4, 4), np.float32)
GIB = 2**30


class Pretended(TileByTile):
    """An engine that notes in which thread it is used and let go."""

    info = EngineInfo("pretended", "none", "float32", "0")
    tile_shape = (1, 1, 4, 4, 4)

    def __init__(self, record, files):
        self.record, self.files = record, files
        record.alive.append(files)

    def __del__(self):
        self.record.alive.remove(self.files)
        self.record.threads.add(threading.get_ident())

    def compute(self, tile):
        self.record.threads.add(threading.get_ident())
        self.record.wait()
        return tile * 2


class Record:
    def __init__(self):
        self.alive, self.loads, self.threads, self.dropped = [], [], set(), []
        self.wait = lambda: None

    def load(self, files):
        self.loads.append(files)
        return Pretended(self, files)

    def drop_first(self, error):
        self.dropped.append(error)


@pytest.fixture
def record(monkeypatch):
    record = Record()
    monkeypatch.setattr(module, "Ladder", lambda engine, precision: record)
    return record


def compute(engine):
    return [*engine.stream(iter([TILE, TILE]))]


def test_one_engine_is_held_at_a_time(record):
    pool = EnginePool()
    for files in (A, B, B, A):
        pool.load("network", files)
        assert record.alive == [files]
    assert record.loads == [A, B, A]


def test_none_is_held_after_the_work(record):
    pool = EnginePool()
    with pool.at_work() as engines:
        assert len(compute(engines.load("network", A))) == 2
    assert not record.alive


def test_a_warm_process_keeps_all(record):
    pool = EnginePool(keep=True)
    for files in (A, B, A, B):
        with pool.at_work() as engines:
            engines.load("network", files)
    assert record.loads == record.alive == [A, B]
    pool.release()
    assert not record.alive


def test_the_longest_unused_goes_first_where_memory_is_short(record, monkeypatch):
    pool = EnginePool(keep=True)
    monkeypatch.setattr(module, "available_memory", lambda: (4 - len(record.alive)) * GIB)
    for files in (A, B, A):
        pool.load("network", files)
    pool.load("network", C, memory=int(2.5 * GIB))
    assert record.alive == [A, C]


def test_engines_are_used_and_let_go_in_one_thread(record):
    pool = EnginePool()
    compute(pool.load("network", A))
    compute(pool.load("network", B))
    pool.release()
    assert len(record.threads) == 1
    assert record.threads != {threading.get_ident()}


def test_each_network_has_a_ladder_of_its_own(monkeypatch):
    made = []

    def ladder(*choice):
        made.append(choice)
        return Record()

    monkeypatch.setattr(module, "Ladder", ladder)
    pool = EnginePool("cpu", "bfloat16")
    for network in ("one", "other", "one"):
        pool.load(network, A)
    assert made == [("cpu", "bfloat16")] * 2


def test_an_engine_that_stalls_is_given_up_for_the_next_rung(record):
    released = threading.Event()
    record.wait = lambda: released.wait(60)
    pool = EnginePool(keep=True)
    with pytest.raises(OutOfTimeError):
        compute(pool.load("network", A, deadline=time.monotonic() + 0.05))
    record.wait = lambda: None
    assert len(compute(pool.load("network", A))) == 2
    assert [str(error) for error in record.dropped] == ["the engine did not answer"]
    assert record.loads == [A, A]
    released.set()


def test_an_engine_that_was_late_and_came_back_is_used_again(record):
    released = threading.Event()
    record.wait = lambda: released.wait(60)
    pool = EnginePool(keep=True)
    with pytest.raises(OutOfTimeError):
        compute(pool.load("network", A, deadline=time.monotonic() + 0.05))
    released.set()
    pool._worker.call(lambda: None)
    assert len(compute(pool.load("network", A))) == 2
    assert record.loads == [A]


def test_the_last_rung_is_tried_again_after_it_stalled(record, monkeypatch):
    released = threading.Event()
    record.wait = lambda: released.wait(60)

    def refuse(error):
        raise error

    monkeypatch.setattr(record, "drop_first", refuse)
    pool = EnginePool()
    with pytest.raises(OutOfTimeError):
        compute(pool.load("network", A, deadline=time.monotonic() + 0.05))
    record.wait = lambda: None
    assert len(compute(pool.load("network", A))) == 2
    released.set()


def test_errors_of_the_engine_come_through(record):
    def fail():
        raise MachineError("broken")

    record.wait = fail
    with pytest.raises(MachineError, match="broken"):
        compute(EnginePool().load("network", A))
