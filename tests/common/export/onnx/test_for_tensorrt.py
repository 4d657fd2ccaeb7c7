from pathlib import Path

import onnx_ir as ir
import pytest

from common.errors import ModelError
from common.export.onnx.for_tensorrt import for_tensorrt
from tests.support.tensorrt import engine_bytes


def test_tensorrt_builds_every_architecture_for_a_gpu_of_7_5(exported_network: Path, tmp_path: Path) -> None:
    assert engine_bytes(for_tensorrt(ir.load(exported_network)), tmp_path / "network.onnx") > 10_000


def test_the_same_network_gives_the_same_bytes(exported_network: Path) -> None:
    first, second = (ir.to_proto(for_tensorrt(ir.load(exported_network))) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_the_kernel_is_refused_where_nothing_is_deformable() -> None:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 18})
    with pytest.raises(ModelError, match="found no deformable convolution"):
        for_tensorrt(ir.Model(graph, ir_version=10), "plugin")
