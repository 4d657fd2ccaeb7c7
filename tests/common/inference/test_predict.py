import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference import predict as prediction
from common.inference.engines.contract import Array, EngineInfo, TileByTile
from common.inference.files import NetworkFiles
from common.inference.network import Fold, Network, Parity
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.tiles import TileGrid
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
    monkeypatch.setattr(prediction, "Ladder", lambda engine, precision: record)
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


def test_a_limit_that_is_over_is_refused_after_two_tiles(run: Case, recorded: Recorded) -> None:
    with pytest.raises(MachineError, match="one pass over all tiles takes"):
        run(Options(deadline=time.monotonic() - 1))
    assert len(recorded.runs) == 2


def test_further_folds_are_left_out_where_the_machine_slows_down(
    run: Case, recorded: Recorded, network: Network, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still while the plan is made; then every tile takes a second."""
    alone = run(Options(folds=("0",), mirroring=False))
    clock = {"now": 0.0}
    compute = RecordedEngine.compute

    def slow(engine: RecordedEngine, tile: Array) -> Array:
        clock["now"] += len(recorded.runs) > TILES + 1
        return compute(engine, tile)

    monkeypatch.setattr(RecordedEngine, "compute", slow)
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    found = run(Options(deadline=1.5 * TILES, mirroring=False))
    assert recorded.runs == 2 * ["0"] * TILES
    np.testing.assert_array_equal(found, alone)


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
