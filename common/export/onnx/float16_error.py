"""How far float16 takes the logits from float32's, shown on a CPU; see `common.export.onnx.rounding`."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir as ir

from common.errors import ModelError
from common.export.onnx.by_engine import logits_of, random_tile
from common.export.onnx.compare import compare
from common.export.onnx.half import to_float16
from common.export.onnx.resize import tile_shape_of, write_resized
from common.export.onnx.rounding import simulated
from common.inference.network import Parity

LARGEST_PATCH = 64
"""Voxels per axis of a reduced tile; a multiple of all usual strides."""


def measure_float16(path: Path) -> Parity:
    """Compare an exported network with itself rounded to float16, on the default CPU engine.

    The tile is random, and smaller than the file's where the network takes any size. The arrangement for
    TensorRT is left out: the zeros that it adds change no sum. Raises `ModelError` for weights or logits that
    float16 cannot hold.
    """
    tile_shape = measured_tile(path)
    tile = random_tile(tile_shape)
    with TemporaryDirectory(prefix="petct-float16-") as folder:
        exact, rounded = Path(folder) / path.name, Path(folder) / f"float16_{path.name}"
        write_resized(path, tile_shape, exact)
        ir.save(simulated(to_float16(ir.load(exact))), rounded)
        expected, found = logits_of(exact, [tile]), logits_of(rounded, [tile])
    if not np.isfinite(found).all():
        raise ModelError(
            f"{path.name}: found features beyond float16's largest number, 65504; export this "
            "network without --tensorrt"
        )
    return compare(expected, found)


def measured_tile(path: Path) -> tuple[int, ...]:
    """Return the tile (C, [Z,] Y, X) to measure on: reduced where a 3D network gives logits of its size."""
    channels, *patch = tile_shape_of(path)
    reduced = [min(size, LARGEST_PATCH) for size in patch]
    if len(patch) == 3 and reduced != patch and _takes(path, (channels, *reduced)):
        return channels, *reduced
    return channels, *patch


def _takes(path: Path, tile_shape: Sequence[int]) -> bool:
    """Return whether the shapes of all layers fit each other for another tile."""
    with TemporaryDirectory(prefix="petct-resized-") as folder:
        resized = Path(folder) / path.name
        write_resized(path, tile_shape, resized)
        try:
            inferred = onnx.shape_inference.infer_shapes(
                onnx.load(resized), check_type=True, strict_mode=True, data_prop=True
            )
        except onnx.shape_inference.InferenceError:
            return False
    (logits,) = inferred.graph.output
    shape = logits.type.tensor_type.shape.dim
    return [dimension.dim_value for dimension in shape[2:]] == list(tile_shape[1:])
