import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference.engines import pool
from common.inference.engines.contract import Array, EngineInfo, TileByTile
from common.inference.engines.worker import is_stuck
from common.inference.files import NetworkFiles
from common.inference.network import Fold, Network, Parity
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.schedule import TIME_RESERVE
from common.inference.tiles import TileGrid
from common.inference.tissue import Tissue
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from tests.support.onnx_files import save_condensing

PATCH = (4, 6, 8)
SHAPE = (9, 11, 8)
MANY_YEARS = 1e9

PEAK = """
import sys
from pathlib import Path
import numpy as np
from common.inference.engines.ladder import Ladder
from common.inference.engines.worker import is_stuck
from common.inference.files import NetworkFiles
from common.memory import peak_memory

ladder = Ladder()
for path in sys.argv[1:]:
    engine = ladder.load(NetworkFiles(Path(path)))
    engine.run(np.ones(engine.tile_shape, np.float32))
    del engine
print(peak_memory())
"""


class Recorded:
    """Engines of two classes: the foreground's logit is the tile times the fold's number, plus a ramp."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.alive = 0
        self.most_alive = 0

    def load(self, files: NetworkFiles) -> "RecordedEngine":
        assert files.onnx
        return RecordedEngine(self, files.onnx)


class RecordedEngine(TileByTile):
    info = EngineInfo("recorded", "none", "float32", "0")
    tile_shape = (1, 1, *PATCH)

    def __init__(self, record: Recorded, path: Path) -> None:
        self.record, self.fold = record, path.stem
        record.alive += 1
        record.most_alive = max(record.most_alive, record.alive)

    def __del__(self) -> None:
        self.record.alive -= 1

    def compute(self, tile: Array) -> Array:
        self.record.runs.append(self.fold)
        ramp = np.arange(tile[0].size, dtype=np.float32).reshape(PATCH)
        logits = tile[0] * (1 + int(self.fold)) + ramp
        return np.stack([np.zeros_like(logits), logits])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    record = Recorded()
    monkeypatch.setattr(pool, "Ladder", lambda engine, precision: record)
    return record


@pytest.fixture
def network() -> Network:
    plans = Plans(
        generation=2,
        patch=PATCH,
        spacing=(1.0, 1.0, 1.0),
        transpose_forward=(0, 1, 2),
        channels=(ChannelSpec("PET", "none"),),
        resample_data=Resampling(3),
        resample_prediction=Resampling(1),
    )
    folds = tuple(Fold(name, Path(f"{name}.onnx"), Parity(0, 1)) for name in ("0", "1", "2"))
    return Network("segmentation", ("PET",), PATCH, 2, (0, 2), folds, 0, plans)


@pytest.fixture
def volume() -> Volume:
    voxels = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    return Volume(SHAPE, [ArrayChannel(voxels)])


def in_years() -> float:
    return time.monotonic() + MANY_YEARS


Case = Callable[[Options], NDArray[np.float32]]


@pytest.fixture
def run(network: Network, volume: Volume) -> Case:
    return lambda options: predict(volume, network, options)


TILES = len(TileGrid(SHAPE, PATCH))


def test_every_fold_sees_every_tile_in_every_mirroring(run: Case, recorded: Recorded) -> None:
    run(Options())
    assert recorded.runs == [fold for fold in ("0", "1", "2") for _ in range(4 * TILES)]


def test_a_limit_that_does_not_bind_changes_nothing_and_costs_no_tile(run: Case, recorded: Recorded) -> None:
    without = run(Options())
    count = len(recorded.runs)
    np.testing.assert_array_equal(run(Options(deadline=in_years())), without)
    assert len(recorded.runs) == 2 * count


def test_a_limit_that_is_over_is_refused_before_a_tile_is_computed(run: Case, recorded: Recorded) -> None:
    with pytest.raises(MachineError, match="the time limit ended"):
        run(Options(deadline=time.monotonic() - 1))
    assert not recorded.runs


Clock = dict[str, float]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, in seconds; it stands still until a test moves it."""
    clock = {"now": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    return clock


def slow_down(
    monkeypatch: pytest.MonkeyPatch, recorded: Recorded, clock: Clock, seconds: Callable[[int], float]
) -> None:
    """Let each run take so long, by its number."""
    compute = RecordedEngine.compute

    def slow(engine: RecordedEngine, tile: Array) -> Array:
        clock["now"] += seconds(len(recorded.runs))
        return compute(engine, tile)

    monkeypatch.setattr(RecordedEngine, "compute", slow)


def test_a_tighter_limit_leaves_out_mirrorings_then_folds(
    run: Case, recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, recorded, clock, lambda run: 1)
    for passes in (1.2, 2, 3, 5, 9):
        recorded.runs.clear()
        clock["now"] = 0
        run(Options(deadline=passes * TILES / (1 - TIME_RESERVE) + 0.5))
        counts = [recorded.runs.count(fold) for fold in ("0", "1", "2")]
        assert sum(counts) == int(passes * TILES)
        assert counts[:2] == [TILES, min(TILES, int((passes - 1) * TILES))] or min(counts) >= TILES


def test_work_stops_at_a_tile_and_the_mean_is_over_what_was_done(
    run: Case, recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tile of fold 0, and half of those of fold 1: near the last tile, the mean is that of fold 0."""
    alone, both = (run(Options(folds=folds, mirroring=False)) for folds in (("0",), ("0", "1")))
    recorded.runs.clear()
    slow_down(monkeypatch, recorded, clock, lambda run: 1)
    found = run(Options(deadline=1.5 * TILES / (1 - TIME_RESERVE) + 1, mirroring=False, folds=("0", "1")))
    assert recorded.runs == ["0"] * TILES + ["1"] * (TILES // 2)
    np.testing.assert_allclose(found[-1, -1], alone[-1, -1], rtol=1e-5)
    np.testing.assert_allclose(found[0, 0], both[0, 0], rtol=1e-5)


def test_an_engine_that_gets_ten_times_slower_still_sees_every_tile_once(
    run: Case,
    recorded: Recorded,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Everything fits at first: 4 mirrorings of each tile together. Then there is time for one of each."""
    half = 4 * (TILES // 2)
    slow_down(monkeypatch, recorded, clock, lambda run: 1 if run < half else 10)
    deadline = 12.0 * TILES / (1 - TIME_RESERVE) + 1
    run(Options(deadline=deadline))
    assert clock["now"] <= deadline
    assert "3 folds saw every tile" in caplog.text
    assert "not seen at all" not in caplog.text


def test_an_engine_that_stalls_leaves_the_mean_of_what_it_had_computed(
    network: Network,
    volume: Volume,
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = Options(folds=("0",), mirroring=False)
    whole = predict(volume, network, options)
    recorded.runs.clear()
    released = threading.Event()
    compute = RecordedEngine.compute

    def stalling(engine: RecordedEngine, tile: Array) -> Array:
        if len(recorded.runs) == TILES // 2:
            released.wait(60)
        return compute(engine, tile)

    monkeypatch.setattr(RecordedEngine, "compute", stalling)
    limit = 1.0
    start = time.monotonic()
    found = predict(volume, network, replace(options, deadline=start + limit))
    assert time.monotonic() - start < limit
    assert is_stuck()
    released.set()
    np.testing.assert_allclose(found[0, 0], whole[0, 0], rtol=1e-5)
    assert not found[-1, -1].any()
    assert f"{TILES - TILES // 2} tiles were not seen at all" in caplog.text


def test_an_engine_that_stalls_before_its_first_tile_is_the_machines_fault(
    run: Case, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(Recorded, "load", lambda record, files: released.wait(60))
    with pytest.raises(MachineError, match="the time limit ended before the engine had answered"):
        run(Options(deadline=time.monotonic() + 0.1))
    released.set()


def test_tiles_lie_further_apart_where_one_pass_does_not_fit(
    run: Case,
    recorded: Recorded,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow_down(monkeypatch, recorded, clock, lambda run: 1)
    widest = len(TileGrid(SHAPE, PATCH, 1))
    found = run(Options(deadline=(widest + 2) / (1 - TIME_RESERVE) + 0.1))
    assert found.shape == SHAPE
    assert "tiles at step" in caplog.text
    assert widest <= len(recorded.runs) <= widest + 2


def test_tiles_side_by_side_that_do_not_fit_are_refused_with_the_numbers(
    run: Case, recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, recorded, clock, lambda run: 100)
    widest = len(TileGrid(SHAPE, PATCH, 1))
    with pytest.raises(MachineError, match=f"at step 1 takes about {100 * widest} s, [0-9]+ s are left"):
        run(Options(deadline=100.0 * widest))
    assert len(recorded.runs) == 2


def test_tiles_without_tissue_come_last_where_time_is_short(
    network: Network, volume: Volume, recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fold 1 has time for the tiles at the far end of the first axis alone, where the tissue is."""
    blocks = np.zeros((5, 3, 3), bool)
    blocks[4] = True
    tissue = Tissue(blocks, (0, 0, 0), (4.0, 1.0, 1.0))
    there = replace(volume, tissue=tissue)
    options = Options(folds=("0", "1"), mirroring=False)
    alone = predict(there, network, replace(options, folds=("0",)))
    recorded.runs.clear()
    slow_down(monkeypatch, recorded, clock, lambda run: 1)
    found = predict(there, network, replace(options, deadline=1.25 * TILES / (1 - TIME_RESERVE) + 0.5))
    assert recorded.runs.count("1") < TILES
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-5)
    assert (np.abs(found[-1] - alone[-1]) > 1e-3).mean() > 0.9


def test_folds_that_the_network_lacks_are_the_models_fault(run: Case) -> None:
    with pytest.raises(ModelError, match="network segmentation has the folds 0, 1, 2, found --folds 7"):
        run(Options(folds=("7",)))


@pytest.mark.parametrize("deadline", [None, MANY_YEARS])
def test_a_volume_of_one_tile_is_predicted_with_and_without_a_limit(
    network: Network, recorded: Recorded, deadline: float | None
) -> None:
    volume = Volume(PATCH, [ArrayChannel(np.ones(PATCH, np.float32))])
    limit = None if deadline is None else time.monotonic() + deadline
    found = predict(volume, network, Options(deadline=limit, mirroring=False, folds=("0",)))
    ramp = np.arange(found.size).reshape(PATCH)
    np.testing.assert_allclose(found, 1 + ramp, rtol=1e-5)


def test_mirroring_can_be_left_out(run: Case, recorded: Recorded) -> None:
    run(Options(mirroring=False))
    assert len(recorded.runs) == 3 * TILES


def test_folds_can_be_chosen(run: Case, recorded: Recorded) -> None:
    run(Options(folds=("2", "0"), mirroring=False))
    assert recorded.runs == ["0"] * TILES + ["2"] * TILES


def test_a_wider_step_takes_fewer_tiles(run: Case, recorded: Recorded) -> None:
    run(Options(step=1, mirroring=False, folds=("0",)))
    assert len(recorded.runs) == len(TileGrid(SHAPE, PATCH, 1)) < TILES


def test_one_folds_engine_is_gone_before_the_next_is_loaded(run: Case, recorded: Recorded) -> None:
    run(Options(deadline=in_years()))
    assert (recorded.most_alive, recorded.alive) == (1, 0)


def test_several_folds_take_no_more_memory_than_one(tmp_path: Path) -> None:
    def peak(folds: int) -> int:
        paths = [str(save_condensing(tmp_path / f"{fold}.onnx", 64, 64)) for fold in range(folds)]
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        return int(subprocess.check_output([sys.executable, "-c", PEAK, *paths], env=environment))

    assert peak(5) < 1.25 * peak(1)
