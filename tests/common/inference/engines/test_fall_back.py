"""A whole prediction with a driver that answers as a real one would, to the mask."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import MachineError
from common.inference.engines.cuda import NO_GPU
from common.inference.engines.pool import EnginePool
from common.inference.options import Options
from common.inference.predict import predict
from tests.support.compiled_networks import compiled_network, random_volume
from tests.support.fake_driver import compile_driver, run_with_driver

pytest.importorskip("cuda.bindings", reason="cuda-bindings is in GPU images alone")

PREDICT = """
import logging, sys
from pathlib import Path
import numpy as np
from common.errors import PetctError
from common.inference.engines import carriers, tensorrt
from common.inference.engines.pool import EnginePool
from common.inference.options import Options
from common.inference.predict import predict
from tests.support.compiled_networks import compiled_network, random_volume
from tests.support.gpu_double import PretendedTensorRt

folder, target, engine = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
trt = PretendedTensorRt(lambda stream, work: work())
tensorrt.installed_libraries = lambda: [carriers.LIBRARIES[0]]
tensorrt.import_library = lambda library: trt
try:
    network = compiled_network(Path(folder), target=target)
    mask = predict(random_volume(), network, Options(EnginePool(engine)))
except PetctError as error:
    sys.exit(f"{error.exit_code} {error}")
np.save(Path(folder) / "mask.npy", mask)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_driver(tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize(
    ("settings", "target", "level", "reason"),
    [
        ({"init": 100}, "7.5", "INFO", NO_GPU),
        ({"version": 11080}, "7.5", "WARNING", "the GPU's driver supports CUDA 11.8, expected 12.0 or later"),
        ({"capability": "7.0"}, "8.0+", "WARNING", "for compute capability 8.0+, Pretended GPU has 7.0"),
        ({"memory": 500}, "7.5", "WARNING", "the GPU's memory is short, "),
        ({"fail": "cuMemAlloc:2:2"}, "7.5", "WARNING", "cuMemAlloc: out of memory"),
        ({"fail": "cuMemcpyHtoDAsync:3:2"}, "7.5", "WARNING", "8): cuMemcpyHtoDAsync: out of memory"),
        ({"fail": "cuEventSynchronize:3:719"}, "7.5", "WARNING", "unspecified launch failure"),
    ],
)  # fmt: skip
def test_every_reason_is_one_line_and_the_case_ends_with_the_mask(
    driver: Path, tmp_path: Path, settings: dict[str, object], target: str, level: str, reason: str
) -> None:
    ended = run_with_driver(PREDICT, tmp_path, target, "auto", driver=driver, **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (line,) = [
        line for line in ended.stdout.splitlines() if line.endswith("going on with engine cuda in float32")
    ]
    assert line.startswith(level)
    assert reason in line
    expected = predict(random_volume(), compiled_network(tmp_path), Options(EnginePool("openvino")))
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), expected)


def test_a_gpu_that_works_computes_the_case_without_a_warning(driver: Path, tmp_path: Path) -> None:
    ended = run_with_driver(PREDICT, tmp_path, "7.5", "auto", driver=driver)
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stdout
    assert "INFO engine: tensorrt, device: Pretended GPU, precision: float16" in ended.stdout
    expected = predict(random_volume(), compiled_network(tmp_path), Options(EnginePool("openvino")))
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), expected)


@pytest.mark.parametrize("with_driver", [True, False])
def test_tensorrt_alone_without_a_gpu_is_the_machines_fault(
    driver: Path, tmp_path: Path, with_driver: bool
) -> None:
    given = driver if with_driver else None
    ended = run_with_driver(PREDICT, tmp_path, "7.5", "tensorrt", driver=given, init=100)
    assert ended.stderr.strip() == f"{MachineError.exit_code} engine tensorrt in float16: {NO_GPU}"
