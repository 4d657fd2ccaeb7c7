"""How far the exported network's logits are from the trained network's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.export.onnx.write import write_resized
from common.inference.engines.ladder import make_cpu_engine
from common.inference.network import Parity

TOLERANCE = 1e-4
"""Largest root of the mean squared difference allowed, as a fraction of the logits' standard deviation.

Rounding in float32 gives about a sixth of it in the deepest of the networks here. The largest difference of
all is no measure: among a tile's millions of voxels there is always one that rounding has moved far.
"""
ROUNDING = 10 * TOLERANCE
"""A margin between a voxel's two highest logits that rounding does not turn, as such a fraction."""
CHANGED = 1e-5
"""Largest share allowed of voxels that change class though their margin is above rounding."""
SEED = 0
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "bad_alloc")

Logits = NDArray[np.float32]


def smallest_patch(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The tile that leaves two voxels along each axis at the deepest stage, no larger than `patch`.

    Fewer would leave the norms there nothing to normalise. `strides` are those of all stages, in any order.
    """
    return tuple(
        min(size, 2 * prod(along)) for size, along in zip(patch, zip(*strides, strict=True), strict=True)
    )


def measure_parity(network: torch.nn.Module, path: Path, tile_shape: Sequence[int]) -> Parity:
    """Compare torch with the default CPU engine on a random tile and on the mirrored one.

    `tile_shape` is (C, [Z,] Y, X), not necessarily that of the file; mirroring is along every spatial axis.
    Raises `ModelError` where the difference is more than rounding, `MachineError` when memory runs out.
    """
    tile = np.random.default_rng(SEED).standard_normal((1, *tile_shape), np.float32)
    tiles = (tile, np.ascontiguousarray(np.flip(tile, axis=tuple(range(2, tile.ndim)))))
    with _enough_memory_for(path), torch.inference_mode():
        expected = np.concatenate([network(torch.from_numpy(tile)).numpy() for tile in tiles])
    parity = compare(expected, _by_engine(path, tiles))
    _require_equal(parity, path)
    return parity


def compare(expected: Logits, found: Logits) -> Parity:
    """How far the logits (B, K, [Z,] Y, X) that were found are from those that were expected."""
    deviation = float(expected.std())
    difference = found - expected
    rms = float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
    changed = (expected.argmax(1) != found.argmax(1)) & (_margin(expected) > ROUNDING * deviation)
    return Parity(
        max_difference=float(np.abs(difference).max()),
        standard_deviation=deviation,
        relative_rms_difference=rms / deviation if deviation else rms,  # logits that are all alike have none
        changed_voxels=float(changed.mean()),
    )


def _by_engine(path: Path, tiles: Sequence[Logits]) -> Logits:
    engine = make_cpu_engine(path)
    if engine.tile_shape == tiles[0].shape:
        return np.concatenate([engine.run(tile) for tile in tiles])
    del engine
    with TemporaryDirectory(dir=path.parent, prefix=".parity-") as folder:
        small = Path(folder) / path.name
        write_resized(path, tiles[0].shape[1:], small)
        engine = make_cpu_engine(small)
        return np.concatenate([engine.run(tile) for tile in tiles])


def _margin(logits: Logits) -> Logits:
    """How far the highest logit of each voxel is above the next, (B, [Z,] Y, X)."""
    highest = np.partition(logits, -2, axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def _require_equal(parity: Parity, path: Path) -> None:
    relative, changed = parity.relative_rms_difference, parity.changed_voxels
    # Not a number is not at most anything.
    if relative is not None and changed is not None and relative <= TOLERANCE and changed <= CHANGED:
        return
    raise ModelError(
        f"{path.name}: the logits differ from torch's by {relative:.2e} of their standard deviation (root "
        f"mean square), and {changed:.2e} of the voxels change class, expected at most {TOLERANCE:g} and "
        f"{CHANGED:g}; are all weights finite?"
    )


@contextmanager
def _enough_memory_for(path: Path) -> Iterator[None]:
    """Raise `MachineError` for an allocation that failed in torch, which is a `RuntimeError` there."""
    try:
        yield
    except RuntimeError as error:
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise MachineError(
            f"{path.name}: not enough memory for one tile in torch; use a machine that has more"
        ) from error
