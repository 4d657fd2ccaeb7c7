from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from common.errors import MachineError
from common.inference.measure import tile_memory

MIB = 2**20


def widen(path: Path, channels: int, size: int) -> Path:
    """A network of one convolution whose output has that many channels."""
    weight = onnx.numpy_helper.from_array(np.ones((channels, 1, 1, 1, 1), np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["tiles", "weight"], ["logits"])],
        "widen",
        [helper.make_tensor_value_info("tiles", onnx.TensorProto.FLOAT, (1, 1, size, size, size))],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, (1, channels, size, size, size))],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_memory_grows_with_what_a_tile_needs(tmp_path: Path) -> None:
    small = tile_memory(widen(tmp_path / "small.onnx", 2, 64), (1, 64, 64, 64))
    large = tile_memory(widen(tmp_path / "large.onnx", 258, 64), (1, 64, 64, 64))
    assert 0 < small < 200 * MIB
    assert large - small > 250 * MIB  # 256 more channels of 1 MiB


def test_this_process_does_not_count(tmp_path: Path) -> None:
    ballast = np.ones(64 * MIB)
    assert tile_memory(widen(tmp_path / "a.onnx", 2, 16), (1, 16, 16, 16)) < ballast.nbytes


def test_a_run_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"a.onnx: a tile of shape \(9, 16, 16, 16\) fails") as caught:
        tile_memory(widen(tmp_path / "a.onnx", 2, 16), (9, 16, 16, 16))
    assert "\n" not in str(caught.value)
