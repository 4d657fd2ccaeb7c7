"""Exported networks for tiles of another size."""

from collections.abc import Sequence
from pathlib import Path

import onnx


def write_resized(path: Path, tile_shape: Sequence[int], destination: Path) -> None:
    """Copy the ONNX file `path` to `destination` for tiles of another shape (C, [Z,] Y, X).

    Only for networks whose constants do not depend on the shape, such as convolutional U-Nets.
    """
    model = onnx.load(path)
    (tiles,), (logits,) = model.graph.input, model.graph.output
    for dimension, size in zip(tiles.type.tensor_type.shape.dim, (1, *tile_shape), strict=True):
        dimension.dim_value = size
    logits.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    onnx.save(model, destination)


def tile_shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape (C, [Z,] Y, X) of the tiles that an ONNX file takes."""
    (tiles,) = onnx.load(path, load_external_data=False).graph.input
    _, *shape = (dimension.dim_value for dimension in tiles.type.tensor_type.shape.dim)
    return tuple(shape)
