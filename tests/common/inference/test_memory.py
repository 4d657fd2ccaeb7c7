from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.clinical import SPACING
from benchmarks.memory import run, write_small_model
from common.errors import MachineError
from common.geometry import Geometry
from common.inference.files import EngineFile
from common.inference.memory import case_memory, gpu_memory, require_memory_for
from common.inference.network import Fold, Network, Parity
from common.memory import GIB
from common.nnunet.plans import ChannelSpec, Plans, Resampling

GEOMETRY = Geometry((40, 50, 60), (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))
CHANNELS = (ChannelSpec("CT", "none"), ChannelSpec("PET", "none"))
PLANS = Plans(2, (8, 8, 8), (3.0, 2.0, 2.0), (0, 1, 2), CHANNELS, Resampling(3), Resampling(1))


def test_case_that_is_too_large_is_refused_before_the_work():
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 10**5 * GIB, PLANS)
    with pytest.raises(MachineError, match=r"prediction of this case needs about 100000\.\d\d GiB"):
        require_memory_for(GEOMETRY, network)


def test_what_a_tile_takes_on_the_cpu_does_not_count_where_no_cpu_can_compute_it() -> None:
    on_gpu, anywhere = Fold("0", None, Parity(0, 1)), Fold("1", Path("1.onnx"), Parity(0, 1))
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (on_gpu,), 10**5 * GIB, PLANS)
    assert network.host_tile_memory < GIB
    assert replace(network, folds=(on_gpu, anywhere)).host_tile_memory == 10**5 * GIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    write_small_model(folder / "model")
    return folder


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.2])
def test_a_run_knows_its_peak_within_15_percent_before_its_work(folder: Path, scale: float) -> None:
    found = run(folder, (250, 200, 200), [scale * size for size in SPACING])
    assert found["expected"] == pytest.approx(found["peak"], rel=0.15)


def test_a_long_case_is_worked_in_slabs_where_memory_is_short_with_the_same_mask(folder: Path) -> None:
    shape, far = (600, 160, 160), 6.0
    whole = run(folder, shape, SPACING, far)
    enough = far - (float(whole["free"]) - float(whole["needed"]))
    slabs = run(folder, shape, SPACING, enough + 0.02)
    assert (whole["bands"], slabs["mask"]) == (0, whole["mask"])
    assert int(slabs["bands"]) > 1
    assert whole["mask"] != "empty"
    too_large = run(folder, shape, SPACING, enough - 0.1)
    assert "prediction of this case needs about" in str(too_large["error"])


def test_a_longer_case_takes_the_longer_of_its_sums_only_where_there_is_room() -> None:
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 0, PLANS)
    least, most = case_memory(GEOMETRY, network)
    assert most - least == 4 * (60 - 8) * 50 * 40
    whole, everything = case_memory(GEOMETRY, network, whole=True, beside=100)
    assert whole == everything == most + 100


def test_a_gpu_holds_weights_activations_and_two_batches(tmp_path: Path) -> None:
    path = tmp_path / "engine"
    path.write_bytes(bytes(1000))
    engine = EngineFile(path, "tensorrt_rtx", "1", "7.5", "float16", (1, 4), 10**6, "")
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 0, PLANS)
    assert gpu_memory(engine, network) == 1000 + 10**6 + 2 * 4 * 4 * 8**3 * (2 + 2)
