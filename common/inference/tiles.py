"""Where the sliding window's tiles lie and how much each voxel of one counts.

Source: nnunetv2/inference/sliding_window_prediction.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from common.nnunet.resample import Shape

STEP = 0.5
"""nnU-Net's distance between neighbouring tiles, as a fraction of the tile."""
GAUSSIAN_WIDTH = 1 / 8
"""Standard deviation of a tile's weights, as a fraction of the tile."""


@dataclass(frozen=True)
class TileGrid:
    """A regular grid of tiles over a volume, which is thought padded where it is smaller than one."""

    shape: Shape
    """The volume's voxels."""
    patch: Shape
    step: float = STEP
    """Distance between neighbouring tiles, as a fraction of the tile."""

    @property
    def padded_shape(self) -> Shape:
        """The volume, at least as large as one tile along every axis."""
        a, b, c = (max(size, tile) for size, tile in zip(self.shape, self.patch, strict=True))
        return a, b, c

    @property
    def pad_before(self) -> Shape:
        """Voxels of padding before the volume; an odd one goes behind it."""
        a, b, c = ((padded - size) // 2 for padded, size in zip(self.padded_shape, self.shape, strict=True))
        return a, b, c

    @property
    def starts(self) -> list[list[int]]:
        """First voxels of the tiles along each axis of the padded volume."""
        sizes = zip(self.padded_shape, self.patch, strict=True)
        return [tile_starts(size, tile, self.step) for size, tile in sizes]

    def __len__(self) -> int:
        return int(np.prod([len(starts) for starts in self.starts]))

    def __iter__(self) -> Iterator[Shape]:
        """First voxel of every tile in the padded volume."""
        a, b, c = self.starts
        yield from product(a, b, c)

    def window(self, start: Shape) -> tuple[slice, slice, slice]:
        """The tile that starts there, in the padded volume."""
        a, b, c = (slice(s, s + size) for s, size in zip(start, self.patch, strict=True))
        return a, b, c

    def weights(self) -> NDArray[np.float32]:
        """How much each voxel of a tile counts."""
        return _outer([gaussian(size) for size in self.patch])

    def normalise(self, total: NDArray[np.float32], passes: int) -> NDArray[np.float32]:
        """The mean over tiles and passes, on the volume without padding; `total` is overwritten.

        The tiles form a regular grid, so a voxel's summed weight is a product of three sums, one
        per axis, and no volume of weights is needed.
        """
        a, b, c = (
            _summed_weights(size, tile, starts)
            for size, tile, starts in zip(self.padded_shape, self.patch, self.starts, strict=True)
        )
        plane = (b[:, None] * c).astype(np.float32)
        for slab, weight in zip(total, a * passes, strict=True):
            slab /= plane * np.float32(weight)
        inside = tuple(
            slice(before, before + size) for before, size in zip(self.pad_before, self.shape, strict=True)
        )
        return total[inside]


def tile_starts(size: int, tile: int, step: float = STEP) -> list[int]:
    """First voxels of tiles along one axis: as few as the step allows, evenly spread."""
    steps = ceil((size - tile) / (tile * step))
    return [round((size - tile) / steps * i) for i in range(steps + 1)] if steps else [0]


@lru_cache(maxsize=8)
def gaussian(size: int) -> NDArray[np.float64]:
    """Weights along one axis of a tile: nnU-Net's filtered unit impulse, 1 at its centre."""
    impulse = np.zeros(size)
    impulse[size // 2] = 1
    weights = gaussian_filter1d(impulse, size * GAUSSIAN_WIDTH, mode="constant")
    return np.asarray(weights / weights.max())


def _summed_weights(size: int, tile: int, starts: Sequence[int]) -> NDArray[np.float64]:
    total = np.zeros(size)
    for start in starts:
        total[start : start + tile] += gaussian(tile)
    return total


def _outer(axes: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    a, b, c = axes
    return (a[:, None, None] * b[:, None] * c).astype(np.float32)
