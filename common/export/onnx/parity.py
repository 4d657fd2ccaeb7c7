"""Numerical parity: the difference between the exported network's logits and those of torch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import torch

from common.errors import MachineError, ModelError
from common.export.onnx.by_engine import logits_of, random_tile
from common.export.onnx.compare import TOLERANCE, compare
from common.inference.network import Parity

MAX_CHANGED = 1e-5
"""Maximum fraction of voxels that change class although their margin is larger than `MIN_MARGIN`."""
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "bad_alloc")


def smallest_patch(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the smallest tile with two voxels per axis at the deepest stage, at most as large as `patch`.

    With a single voxel, instance normalisation has nothing to normalise. `strides` are those of all stages,
    in any order.
    """
    return tuple(
        min(size, 2 * prod(along)) for size, along in zip(patch, zip(*strides, strict=True), strict=True)
    )


def measure_parity(network: torch.nn.Module, path: Path, tile_shape: Sequence[int]) -> Parity:
    """Compare torch with the default CPU engine on a random tile and on its mirror image.

    The mirror image is flipped along all spatial axes. `tile_shape` is (C, [Z,] Y, X) and may differ from
    that of the file. Raises `ModelError` if the difference exceeds rounding or is not finite, `MachineError`
    if memory is too small.
    """
    tile = random_tile(tile_shape)
    tiles = (tile, np.ascontiguousarray(np.flip(tile, axis=tuple(range(2, tile.ndim)))))
    with _enough_memory_for(path), torch.inference_mode():
        expected = np.concatenate([network(torch.from_numpy(tile)).numpy() for tile in tiles])
    found = logits_of(path, tiles)
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        raise ModelError(f"{path.name}: found logits that are no finite numbers; are all weights finite?")
    parity = compare(expected, found)
    _require_equal(parity, path)
    return parity


def _require_equal(parity: Parity, path: Path) -> None:
    relative, changed = parity.relative_rms_difference, parity.changed_voxels
    if relative is not None and changed is not None and relative <= TOLERANCE and changed <= MAX_CHANGED:
        return
    raise ModelError(
        f"{path.name}: the logits differ from torch's by {relative:.2e} of their standard deviation (root "
        f"mean square), and {changed:.2e} of the voxels change class, expected at most {TOLERANCE:g} and "
        f"{MAX_CHANGED:g}; are all weights finite?"
    )


@contextmanager
def _enough_memory_for(path: Path) -> Iterator[None]:
    """Convert the `RuntimeError` of a failed allocation in torch to `MachineError`."""
    try:
        yield
    except RuntimeError as error:
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise MachineError(
            f"{path.name}: not enough memory for one tile in torch; use a machine that has more"
        ) from error
