"""The library itself, on a machine without a driver: what it says of an engine that it built."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import MachineError
from common.hashes import sha256_of
from common.inference.engines import cuda, deform_im2col3d, tensorrt
from common.inference.engines.contract import EngineMissingError
from common.inference.engines.machine import gpus
from common.inference.files import EngineFile, NetworkFiles
from tests.support.gpu_double import LazyGpu
from tests.support.onnx_files import save_mixing

trt = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is in GPU images alone")
pytestmark = pytest.mark.skipif(bool(gpus()), reason="there is a GPU, which tests/gpu is for")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> EngineFile:
    folder = tmp_path_factory.mktemp("engine")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    network.add_input("tiles", trt.float16, (1, 8, 8, 8, 8))
    layer = network.add_activation(network.get_input(0), trt.ActivationType.RELU)
    layer.get_output(0).name = "logits"
    network.mark_output(layer.get_output(0))
    configuration = builder.create_builder_config()
    configuration.num_compute_capabilities = 1
    configuration.set_compute_capability(trt.ComputeCapability.SM75, 0)
    path = folder / "network.sm75.engine"
    path.write_bytes(builder.build_serialized_network(network, configuration))
    return EngineFile(path, "tensorrt_rtx", trt.__version__, "7.5", "float16", (1,), 1000, sha256_of(path))


def test_without_a_driver_loading_says_that_there_is_no_gpu(built: EngineFile) -> None:
    assert tensorrt.missing("float16") == cuda.NO_GPU
    with pytest.raises(EngineMissingError, match="no NVIDIA GPU is visible"):
        tensorrt.load(NetworkFiles(None, (built,)), "float16")


def load_on(gpu: LazyGpu, engine: EngineFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load where our side of the driver is there, the library's is not."""
    monkeypatch.setattr(cuda, "find_gpu", lambda: gpu.info)
    monkeypatch.setattr(cuda, "open_gpu", lambda: gpu)
    try:
        tensorrt.load(NetworkFiles(None, (engine,)), "float16")
    finally:
        tensorrt._give_up()


def test_an_engine_that_the_library_refuses_is_one_line(
    built: EngineFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MachineError, match=r"network.sm75.engine: ") as caught:
        load_on(LazyGpu(), built, monkeypatch)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_engine_is_called_damaged(
    tmp_path: Path, built: EngineFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_mixing(tmp_path / "network.engine", 8, 0)
    with pytest.raises(MachineError, match=r"network.engine: is damaged; export the checkpoint again"):
        load_on(LazyGpu(), replace(built, path=path, sha256=sha256_of(path)), monkeypatch)


def test_every_reason_of_the_library_has_words() -> None:
    assert set(tensorrt.DIAGNOSES) == set(trt.EngineInvalidityDiagnostics.__members__)


def test_an_engine_with_a_kernel_needs_the_library_under_the_name_that_plugins_ask_for(
    built: EngineFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deform_im2col3d, "load_im2col", lambda *_: None)
    monkeypatch.setattr(deform_im2col3d, "_creators", {})
    monkeypatch.setattr(deform_im2col3d, "LINK", "libnowhere.so")
    with pytest.raises(MachineError, match=r"libnowhere.so: not found"):
        load_on(LazyGpu(), replace(built, plugin=True), monkeypatch)


def test_an_engine_that_calls_a_kernel_needs_one_for_the_gpu(
    built: EngineFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MachineError, match=r"the model folder's kernels are for none"):
        load_on(LazyGpu(), replace(built, plugin=True), monkeypatch)
