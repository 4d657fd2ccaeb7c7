import gc
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import MachineError, ModelError
from common.inference.engines import carriers, cuda, tensorrt
from common.inference.engines.contract import EngineMissingError
from common.inference.engines.gpu import GpuInfo
from common.inference.engines.ladder import Ladder
from common.inference.engines.pool import EnginePool
from common.inference.network import Network
from common.inference.options import Options
from common.inference.predict import predict
from tests.support.compiled_networks import SIZE, TILES, compiled_network, random_volume
from tests.support.gpu_double import T4, Diagnostics, LazyGpu, PretendedTensorRt, Validity

PASSES = 4
TILE = np.random.default_rng(1).standard_normal((1, 1, SIZE, SIZE, SIZE), np.float32)

Pretend = Callable[..., PretendedTensorRt]
Logged = Callable[[int], list[str]]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pretend]:
    """Put doubles in the place of a GPU and TensorRT-RTX."""

    def pretend(gpu: LazyGpu, **answers) -> PretendedTensorRt:
        trt = PretendedTensorRt(gpu.enqueue, **answers)
        monkeypatch.setattr(tensorrt, "missing", lambda precision: None)
        monkeypatch.setattr(tensorrt, "installed_libraries", lambda: [carriers.LIBRARIES[0]])
        monkeypatch.setattr(tensorrt, "import_library", lambda library: trt)
        monkeypatch.setattr(cuda, "find_gpu", lambda: gpu.info)
        monkeypatch.setattr(cuda, "open_gpu", lambda: gpu)
        return trt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield pretend
    tensorrt._give_up()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """What was logged at a level."""
    caplog.set_level(logging.INFO)
    return lambda level: [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return compiled_network(tmp_path)


def mask(network: Network, engine="auto"):
    return predict(random_volume(), network, Options(EnginePool(engine)))


def load(network: Network):
    return Ladder("tensorrt").load(network.files(network.folds[0]))


def test_every_fold_in_every_mirroring_is_computed_on_the_gpu(
    pretend: Pretend, network: Network, logged: Logged
) -> None:
    trt = pretend(LazyGpu())
    found = mask(network)
    assert trt.batches_run == [1] * (2 * PASSES * TILES)
    assert not logged(logging.WARNING)
    np.testing.assert_array_equal(found, mask(network, "openvino"))


def test_the_engine_says_what_it_is(pretend: Pretend, network: Network) -> None:
    pretend(LazyGpu())
    info = load(network).info
    assert (info.name, info.device, info.precision) == ("tensorrt", "Pretended T4", "float16")
    assert info.version == "TensorRT-RTX 1.7.1.116, compute capability 7.5"


def test_mirrorings_are_computed_together_where_the_engine_can(pretend: Pretend, tmp_path: Path) -> None:
    network = compiled_network(tmp_path, folds=1, batches=(1, PASSES))
    trt = pretend(LazyGpu(), batches=(1, PASSES))
    found = mask(network)
    assert trt.batches_run == [PASSES] * TILES
    np.testing.assert_array_equal(found, mask(network, "openvino"))


def test_what_does_not_fill_a_batch_is_computed_one_by_one(pretend: Pretend, tmp_path: Path) -> None:
    trt = pretend(LazyGpu(), batches=(1, 4))
    engine = load(compiled_network(tmp_path, folds=1, batches=(1, 4)))
    assert engine.run(np.repeat(TILE, 6, axis=0)).shape == (6, 2, SIZE, SIZE, SIZE)
    assert trt.batches_run == [4, 1, 1]


def test_a_batch_that_gpu_memory_does_not_hold_is_not_used(pretend: Pretend, tmp_path: Path) -> None:
    trt = pretend(LazyGpu(memory=50_000), batches=(1, 100))
    load(compiled_network(tmp_path, folds=1, batches=(1, 100))).run(TILE)
    assert trt.batches_run == [1]


def test_one_gpu_and_its_buffers_serve_all_folds(pretend: Pretend, network: Network) -> None:
    gpu = LazyGpu()
    pretend(gpu)
    load(network).run(TILE)
    buffers = set(gpu.buffers)
    mask(network, "tensorrt")
    # The second half of the pair of buffers is made when two tiles are first in flight.
    assert buffers < set(gpu.buffers)
    assert len(gpu.buffers) == 2 * 4 + 1
    assert not gpu.closed


@pytest.mark.parametrize("call", ["copy_in", "wait", "record", "copy_out", "synchronise"])
@pytest.mark.parametrize("tile", [1, 2, 3, 2 * PASSES * TILES])
def test_a_tile_that_fails_in_mid_case_is_computed_again_and_sums_are_kept(
    pretend: Pretend, network: Network, logged: Logged, call: str, tile: int
) -> None:
    calls = {"wait": 2, "record": 3}.get(call, 1)
    gpu = LazyGpu(fails=(call, calls * tile))
    trt = pretend(gpu)
    found = mask(network)
    np.testing.assert_array_equal(found, mask(network, "openvino"))
    (warning,) = logged(logging.WARNING)
    assert warning == (
        f"tensorrt on Pretended T4 failed on a tile of shape (1, {SIZE}, {SIZE}, {SIZE}): {call}: "
        "unspecified launch failure; going on with engine cuda in float32"
    )
    assert len(trt.batches_run) <= 2 * PASSES * TILES
    assert gpu.closed
    assert not gpu.buffers


def test_a_batch_that_fails_is_computed_again_tile_by_tile(pretend: Pretend, tmp_path: Path) -> None:
    network = compiled_network(tmp_path, batches=(1, PASSES))
    pretend(LazyGpu(fails=("synchronise", 3)), batches=(1, PASSES))
    np.testing.assert_array_equal(mask(network), mask(network, "openvino"))


def test_a_launch_that_fails_has_the_librarys_reason(
    pretend: Pretend, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(LazyGpu())
    engine = load(network)
    logger = engine._present._logger

    def refuse(context, stream: int) -> bool:
        logger.log(1, "Error Code 1: Cask\n (no kernel)")
        return False

    monkeypatch.setattr("tests.support.gpu_double.Context.execute_async_v3", refuse)
    with pytest.raises(MachineError, match=r"does not start: Error Code 1: Cask \(no kernel\)$"):
        engine.run(TILE)


def test_an_engine_that_is_left_frees_its_network(pretend: Pretend, network: Network) -> None:
    pretend(LazyGpu())
    engine = load(network)
    session = tensorrt._session()
    assert len(session.engines) == 1
    del engine
    gc.collect()
    assert not session.engines


def altered(network: Network, **changes) -> Network:
    folds = tuple(
        replace(fold, engines=tuple(replace(engine, **changes) for engine in fold.engines))
        for fold in network.folds
    )
    return replace(network, folds=folds)


def test_what_tells_against_the_gpu_is_one_warning_and_a_mask(
    pretend: Pretend, network: Network, logged: Logged
) -> None:
    expected = mask(network, "openvino")
    small = LazyGpu(memory=500)
    cases: tuple[tuple[LazyGpu, dict[str, Any], Network, str], ...] = (
        (LazyGpu(), {}, replace(network, folds=tuple(replace(f, engines=()) for f in network.folds)),
         "has no compiled engines for the GPU; export the checkpoint with --tensorrt"),
        (LazyGpu(replace(T4, capability=(7, 0))), {}, network,
         "the engines are for compute capability 7.5, Pretended T4 has 7.0; export"),
        (LazyGpu(), {}, altered(network, version="1.6.0.1"),
         "built by TensorRT-RTX 1.6.0.1, installed is 1.7.1.116; export"),
        (LazyGpu(), {}, altered(network, carrier="tensorrt"), "built by tensorrt, installed is tensorrt_rtx"),
        (LazyGpu(), {}, altered(network, sha256="0" * 64), "altered, found SHA-256"),
        (LazyGpu(), {}, altered(network, path=Path("nowhere.engine")), "nowhere.engine: no such file"),
        (LazyGpu(), {"validity": (Validity.INVALID, Diagnostics.OLD_CUDA_DRIVER)}, network,
         "needs a newer driver of the GPU; install one"),
        (LazyGpu(), {"validity": (Validity.INVALID, 0)}, network, "the library gives no reason"),
        (LazyGpu(), {"loads": False}, network, "the GPU's memory is short, "),
        (small, {}, network, "the GPU's memory is short, "),
    )  # fmt: skip
    seen: set[str] = set()
    for gpu, answers, model, reason in cases:
        before = len(logged(logging.WARNING))
        pretend(gpu, **answers)
        np.testing.assert_array_equal(mask(model), expected)
        (warning,) = logged(logging.WARNING)[before:]
        assert reason in warning
        assert "\n" not in warning
        assert warning.endswith("; going on with engine cuda in float32")
        assert not gpu.buffers, "something was left on the GPU"
        seen.add(warning)
    assert len(seen) == len(cases)


def test_reasons_of_the_librarys_check_are_joined(pretend: Pretend, network: Network) -> None:
    reasons = Diagnostics.VERSION_MISMATCH | Diagnostics.UNSUPPORTED_CC
    pretend(LazyGpu(), validity=(Validity.INVALID, reasons))
    with pytest.raises(
        MachineError, match=r"was built by another version .*, and was built for GPUs of another"
    ):
        load(network)


@pytest.mark.parametrize(
    ("targets", "capability", "chosen"),
    [
        (["8.0+", "7.5"], (7, 5), "7.5"),
        (["7.5", "8.0+"], (8, 0), "8.0+"),
        (["7.5", "8.0+"], (12, 1), "8.0+"),
        (["8.0+", "8.6"], (8, 6), "8.6"),
    ],
)
def test_the_engine_taken_is_the_one_that_fits_best(
    tmp_path: Path, targets: list[str], capability: tuple[int, int], chosen: str
) -> None:
    from common.inference.engines.engine_files import fitting_engine

    files = compiled_network(tmp_path).files(compiled_network(tmp_path).folds[0])
    engines = tuple(replace(files.engines[0], target=target) for target in targets)
    gpu = GpuInfo("GPU", capability, 2**33, (12, 9))
    libraries = {library.carrier: library for library in carriers.LIBRARIES}
    engine, library = fitting_engine(replace(files, engines=engines), gpu, libraries)
    assert (engine.target, library.carrier) == (chosen, "tensorrt_rtx")


def test_without_a_gpu_the_reason_is_no_warning(
    network: Network, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(tensorrt, "missing", lambda precision: cuda.NO_GPU)
    mask(network)
    assert not logged(logging.WARNING)
    reason = f"engine tensorrt in float16: {cuda.NO_GPU}"
    assert f"{reason}; going on with engine cuda in float32" in logged(logging.INFO)
    with pytest.raises(EngineMissingError, match=f"^{reason}$"):
        mask(network, "tensorrt")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tensorrt_computes_in_float16_whatever_precision_is_chosen(
    pretend: Pretend, network: Network, precision
) -> None:
    pretend(LazyGpu())
    engine = Ladder("tensorrt", precision).load(network.files(network.folds[0]))
    assert engine.info.precision == "float16"


def test_a_model_for_gpus_alone_names_what_is_missing_on_a_machine_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "missing", lambda precision: cuda.NO_GPU)
    with pytest.raises(EngineMissingError, match=r"fold_0.engine: exported with --no-cpu, for GPUs alone"):
        mask(compiled_network(tmp_path, onnx=False))


def test_a_model_for_gpus_alone_runs_on_one(pretend: Pretend, tmp_path: Path) -> None:
    pretend(LazyGpu())
    np.testing.assert_array_equal(
        mask(compiled_network(tmp_path, onnx=False)), mask(compiled_network(tmp_path), "openvino")
    )


def test_compiled_kernels_are_kept_for_the_next_process(pretend: Pretend, network: Network, tmp_path) -> None:
    pretend(LazyGpu())
    load(network).run(TILE)
    tensorrt._close_at_exit()
    (file,) = tmp_path.glob("petct-*-tensorrt_rtx-1.7.1.116-sm75.cache")
    assert file.read_bytes() == b"kernels"


@pytest.mark.parametrize("obstacle", ["damaged", "folder", "no folder"])
def test_kept_kernels_that_are_of_no_use_are_no_failure(
    pretend: Pretend, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    pretend(LazyGpu())
    load(network).run(TILE)
    tensorrt._close_at_exit()
    (file,) = tmp_path.glob("*.cache")
    if obstacle == "damaged":
        file.write_bytes(b"nonsense")
    elif obstacle == "folder":
        file.unlink()
        file.mkdir()
    else:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    pretend(LazyGpu())
    load(network).run(TILE)
    tensorrt._close_at_exit()
    if obstacle == "damaged":
        assert file.read_bytes() == b"kernels"


def test_a_file_that_is_altered_is_the_models_fault_where_no_other_engine_may_be_used(
    pretend: Pretend, network: Network
) -> None:
    pretend(LazyGpu())
    with pytest.raises(ModelError, match="altered"):
        mask(altered(network, sha256="0" * 64), "tensorrt")
