"""The plugin's class on TensorRT-RTX's own bindings, without a GPU: the kernel's launches are the CPU's."""

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from common.errors import MachineError
from common.export.onnx.deform_conv3d.columns import columns
from common.export.onnx.deform_conv3d.lowering import lower
from common.export.onnx.half import to_float16
from common.inference.engines import deform_im2col3d
from common.inference.engines.deform_im2col3d import Im2col, Sampling, register
from tests.common.inference.engines.test_deform_im2col3d import expected, sampling_of
from tests.support.deform_conv3d import canonical_model, random_call
from tests.support.host_kernel import HostLauncher, compile_host_kernel
from tests.support.plugin_process import build_with_plugin

trt = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compile_host_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture
def creator() -> Any:
    """Not registered: for that the process would need the library's link."""
    return deform_im2col3d._creator_class(trt)()


def fields_of(sampling: Sampling) -> Any:
    return trt.PluginFieldCollection(
        [
            trt.PluginField(name, np.array(values, np.int32), trt.PluginFieldType.INT32)
            for name, values in sampling.attributes().items()
        ]
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_enqueue_computes_the_columns(creator: Any, library: ctypes.CDLL, seed: int, dtype: Any) -> None:
    call = random_call(seed)
    volume, offset = call.input.astype(dtype), call.offset.astype(dtype)
    wanted = expected(call, volume, offset).astype(dtype)
    found = np.full(wanted.shape, np.nan, dtype)
    creator.im2col = Im2col(launcher := HostLauncher(library), b"cubin")
    plugin = creator.create_plugin("node", fields_of(sampling_of(call)), None).attach_to_context(None)
    kind = trt.float16 if dtype is np.float16 else trt.float32
    tensors = [SimpleNamespace(dims=array.shape, type=kind) for array in (volume, offset, found)]
    addresses = [array.ctypes.data for array in (volume, offset)]
    plugin.enqueue(tensors[:2], tensors[2:], addresses, [found.ctypes.data], 0, 5)
    np.testing.assert_array_equal(found, wanted)
    assert launcher.streams == [5]


def test_what_is_saved_in_an_engine_gives_the_same_plugin(creator: Any) -> None:
    sampling = Sampling((3, 1, 2), (1, 2, 1), (0, 1, 2), (2, 1, 1), 4)
    plugin = creator.create_plugin("node", fields_of(sampling), None)
    again = creator.create_plugin("node", plugin.get_fields_to_serialize(), None)
    assert again._sampling == plugin._sampling == sampling


def test_an_engine_without_a_kernel_says_so(creator: Any) -> None:
    sampling = Sampling((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1)
    plugin = creator.create_plugin("node", fields_of(sampling), None)
    with pytest.raises(MachineError, match="has no kernel to run"):
        plugin.enqueue([None, None], [None], [0, 0], [0], 0, 0)


def test_a_missing_link_is_named_before_it_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(deform_im2col3d, "find_spec", lambda name: spec)
    monkeypatch.setattr(deform_im2col3d, "_creators", {})
    monkeypatch.setattr(deform_im2col3d, "LINK", "libtensorrt_nowhere.so")
    with pytest.raises(MachineError, match=r"libtensorrt_nowhere.so: not found, which TensorRT-RTX needs"):
        register(trt)


@pytest.mark.parametrize("seed", [1, 2])
def test_tensorrt_parses_the_node_and_builds_with_it(seed: int, tmp_path: Path) -> None:
    model = to_float16(lower(canonical_model(random_call(seed), 18), columns))
    ir.save(model, tmp_path / "a.onnx")
    built = build_with_plugin(tmp_path / "a.onnx", tmp_path, "7.5", "8.0+")
    assert built["plugins"] == 1
    assert len(built["sizes"]) == 2
    assert min(built["sizes"]) > 0
