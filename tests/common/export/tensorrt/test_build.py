import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper

from common.errors import MachineError, ModelError
from common.export.tensorrt.batches import with_batches
from common.export.tensorrt.build import Request, build
from common.export.tensorrt.failures import explain_build


def write(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray] | None = None) -> Path:
    """A float32 network of one tile (1, 8, 4, 4, 4)."""
    value = helper.make_tensor_value_info
    shape = (1, 8, 4, 4, 4)
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(
        nodes,
        "network",
        [value("tiles", TensorProto.FLOAT, shape)],
        [value("logits", TensorProto.FLOAT, shape)],
        initializers,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def convolution(path: Path) -> Path:
    weight = np.ones((8, 8, 3, 3, 3), np.float32)
    node = helper.make_node("Conv", ["tiles", "w"], ["logits"], "deepest", pads=[1] * 6)
    return write(path, [node], {"w": weight})


def request(onnx_file: Path, target: str = "8.0+") -> Request:
    return Request(onnx_file, onnx_file.with_suffix(".engine"), "tensorrt_rtx", target)


def test_a_layer_that_cannot_be_compiled_is_named(tmp_path: Path) -> None:
    """GPUs of 7.5 have no float32 3D convolution."""
    with pytest.raises(ModelError, match=r"^net.onnx: TensorRT cannot compile layer deepest for 7.5: .*FP32"):
        build(request(convolution(tmp_path / "net.onnx"), "7.5"))
    assert not (tmp_path / "net.engine").exists()


def test_a_layer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [helper.make_node("NoSuch", ["tiles"], ["logits"], "strange")])
    with pytest.raises(ModelError, match=r"cannot read layer strange \(NoSuch\): .*leave --tensorrt out"):
        build(request(path))


def test_what_building_takes_is_told(tmp_path: Path) -> None:
    wanted = request(convolution(tmp_path / "net.onnx"))
    built = build(wanted)
    assert built.target == "8.0+"
    assert 0 < built.peak_memory < 2 * 2**30
    assert wanted.engine.stat().st_size > 8 * 8 * 27


def test_a_process_that_is_killed_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -ABRT $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))
    with pytest.raises(MachineError, match=rf"net.onnx: TensorRT ends with status -{int(signal.SIGABRT)}"):
        build(request(tmp_path / "net.onnx"))


def test_the_library_is_on_the_loaders_path_under_the_name_that_plugins_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "python"
    spy.write_text('#!/bin/sh\nls -L "${LD_LIBRARY_PATH%%:*}" >&2\nexit 3\n')
    spy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(spy))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/usr/lib{os.pathsep}/lib")
    with pytest.raises(ModelError, match=r"^libtensorrt_rtx.so$"):
        build(request(tmp_path / "net.onnx"))


class Layers:
    """The part of a network that explanations use."""

    def __init__(self, *names: str) -> None:
        self._names, self.num_layers = names, len(names)

    def get_layer(self, index: int) -> "Layers":
        layer = Layers()
        layer.name = self._names[index]
        return layer

    name = ""


def test_a_layers_name_that_is_part_of_another_is_not_named() -> None:
    text = explain_build(Layers("conv_1", "conv_12"), ["Error Code 1: no kernel for 'conv_12'"], "7.5")
    assert text.startswith("TensorRT cannot compile layer conv_12 for 7.5: ")


def test_a_network_for_any_batch_computes_each_tile_as_alone(tmp_path: Path) -> None:
    path = convolution(tmp_path / "net.onnx")
    ir.save(with_batches(ir.load(path), path.name), tmp_path / "batch.onnx")
    tiles = np.random.default_rng(0).standard_normal((3, 8, 4, 4, 4), np.float32)
    run: Callable[[Path, np.ndarray], np.ndarray] = lambda file, x: onnxruntime.InferenceSession(file).run(  # noqa: E731
        None, {"tiles": x}
    )[0]
    alone = np.concatenate([run(path, tile[None]) for tile in tiles])
    np.testing.assert_allclose(run(tmp_path / "batch.onnx", tiles), alone, rtol=1e-5, atol=1e-5)


def test_a_network_whose_shapes_are_fixed_takes_one_tile(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["tiles", "flat"], ["f"], "flatten"),
        helper.make_node("Reshape", ["f", "full"], ["logits"], "unflatten"),
    ]
    shapes = {"flat": np.array([-1, 512]), "full": np.array([1, 8, 4, 4, 4])}
    model = ir.load(write(tmp_path / "net.onnx", nodes, shapes))
    with pytest.raises(
        ModelError, match=r"net.onnx: layer unflatten \(Reshape\) .*leave --batch-mirrorings out"
    ):
        with_batches(model, "net.onnx")
