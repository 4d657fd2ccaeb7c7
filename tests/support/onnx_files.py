"""Small ONNX networks."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper


def save_widening(path: Path, channels: int, size: int) -> Path:
    """Save one convolution from tiles (1, 1, size, size, size) to that many channels."""
    weight = np.ones((channels, 1, 1, 1, 1), np.float32)
    return _save(path, weight, (1, 1, size, size, size), (1, channels, size, size, size))


def save_condensing(path: Path, channels: int, size: int) -> Path:
    """Save one convolution whose kernel is as large as the tile (1, 1, size, size, size)."""
    weight = np.ones((channels, 1, size, size, size), np.float32)
    return _save(path, weight, (1, 1, size, size, size), (1, channels, 1, 1, 1))


def save_mixing(path: Path, size: int, seed: int) -> Path:
    """Save one convolution with random 3³ kernels, from tiles (1, 1, size, size, size) to two channels."""
    weight = np.random.default_rng(seed).standard_normal((2, 1, 3, 3, 3), np.float32)
    return _save(path, weight, (1, 1, size, size, size), (1, 2, size, size, size), pads=[1] * 6)


def _save(
    path: Path,
    weight: np.ndarray,
    tile_shape: tuple[int, ...],
    logits_shape: tuple[int, ...],
    **attributes: Any,
) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["tiles", "weight"], ["logits"], **attributes)],
        "convolution",
        [helper.make_tensor_value_info("tiles", onnx.TensorProto.FLOAT, tile_shape)],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, logits_shape)],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path
