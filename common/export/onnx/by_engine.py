"""The logits of an ONNX file on the default CPU engine, for comparisons."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from common.export.onnx.compare import Logits
from common.export.onnx.resize import tile_shape_of, write_resized
from common.inference.engines.ladder import make_cpu_engine

SEED = 0


def random_tile(tile_shape: Sequence[int]) -> Logits:
    """Draw the tile (1, C, [Z,] Y, X) that exports are compared on; always the same of one shape."""
    return np.random.default_rng(SEED).standard_normal((1, *tile_shape), np.float32)


def logits_of(path: Path, tiles: Sequence[Logits]) -> Logits:
    """Return the logits of tiles (1, C, [Z,] Y, X), whose shape may differ from that of the file.

    Raises as the engine does.
    """
    if tile_shape_of(path) == tiles[0].shape[1:]:
        return _run(path, tiles)
    with TemporaryDirectory(dir=path.parent, prefix=".parity-") as folder:
        small = Path(folder) / path.name
        write_resized(path, tiles[0].shape[1:], small)
        return _run(small, tiles)


def _run(path: Path, tiles: Sequence[Logits]) -> Logits:
    engine = make_cpu_engine(path)
    return np.concatenate([engine.run(tile) for tile in tiles])
