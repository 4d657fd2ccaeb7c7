"""Where the sliding window's tiles lie and how much each voxel of one counts.

Source: nnunetv2/inference/sliding_window_prediction.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from common.geometry import triple
from common.inference.options import STEP
from common.nnunet.resample import Shape

GAUSSIAN_WIDTH = 1 / 8
"""Standard deviation of a tile's weights, as a fraction of the tile."""


class Band(NamedTuple):
    """Neighbouring rows of tiles along the first axis; slices are counted in the padded volume."""

    starts: list[int]
    """First slices of its tiles."""
    first: int
    """Its first slice that no earlier band has finished."""
    stop: int
    """The slice after the last that its tiles reach."""
    finished: int
    """The slice after the last that no later band reaches."""

    def drop_finished(self, sums: NDArray[np.float32]) -> None:
        """Move the slices of `sums` (C, slices, y, x) that a later band reaches to the front; zero the rest.

        Slice by slice: a copy of all may be more than the memory holds.
        """
        finished, begun = self.finished - self.first, self.stop - self.finished
        for index in range(begun):
            sums[:, index] = sums[:, finished + index]
        sums[:, begun:] = 0


@dataclass(frozen=True)
class TileGrid:
    """A regular grid of tiles over a volume; a volume smaller than one tile is padded with zeros."""

    shape: Shape
    """The volume's voxels."""
    patch: Shape
    step: float = STEP
    """Distance between neighbouring tiles, as a fraction of the tile."""

    @property
    def padded_shape(self) -> Shape:
        """The volume, at least as large as one tile along every axis."""
        return triple(max(size, tile) for size, tile in zip(self.shape, self.patch, strict=True))

    @property
    def pad_before(self) -> Shape:
        """Voxels of padding before the volume; an odd one goes behind it."""
        sizes = zip(self.padded_shape, self.shape, strict=True)
        return triple((padded - size) // 2 for padded, size in sizes)

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

    def bands(self, max_slices: int | None = None) -> list[Band]:
        """All tiles in one group, or in as few groups as keep each within so many slices.

        A group has at least one row of tiles, however deep that is. The groups' slices follow on each other.
        """
        rows = len(self.starts[0])
        bands = self._bands(rows)
        while max_slices is not None and rows > 1 and deepest(bands) > max_slices:
            rows -= 1
            bands = self._bands(rows)
        return bands

    def _bands(self, rows: int) -> list[Band]:
        starts, depth = self.starts[0], self.patch[0]
        bands: list[Band] = []
        for row in range(0, len(starts), rows):
            own, later = starts[row : row + rows], starts[row + rows :]
            first = bands[-1].finished if bands else 0
            stop = own[-1] + depth
            bands.append(Band(own, first, stop, later[0] if later else stop))
        return bands

    def tiles(self, band: Band) -> list[Shape]:
        """First voxel of every tile of a band, in the padded volume."""
        _, b, c = self.starts
        return list(product(band.starts, b, c))

    def window(self, start: Shape, first: int = 0) -> tuple[slice, slice, slice]:
        """The tile that starts there, in the part of the padded volume that begins with the slice `first`."""
        a, b, c = (slice(s, s + size) for s, size in zip(start, self.patch, strict=True))
        return slice(a.start - first, a.stop - first), b, c

    def weights(self) -> NDArray[np.float32]:
        """How much each voxel of a tile counts."""
        return _outer([gaussian(size) for size in self.patch])

    def normalise(
        self, total: NDArray[np.float32], passes: NDArray[np.intp], first: int = 0
    ) -> NDArray[np.float32]:
        """The mean over tiles and passes, without padding; `total` is overwritten.

        `total` (…, z, y, x) are sums of the padded volume from the slice `first` on, `passes` (z, y, x) how
        often each tile of the grid is in them. Where no tile is, the mean is 0.
        """
        stop = first + total.shape[-3]
        weights = self._summed_weights(passes, first, stop)
        for index, weight in enumerate(weights):
            for volume in total.reshape(-1, *total.shape[-3:]):
                np.divide(volume[index], weight, out=volume[index], where=weight > 0)
        (depth, *_), (before, *_) = self.shape, self.pad_before
        inside = slice(max(0, before - first), max(0, before + depth - first))
        y, x = (
            slice(before, before + size)
            for before, size in zip(self.pad_before[1:], self.shape[1:], strict=True)
        )
        return total[..., inside, y, x]

    def _summed_weights(
        self, passes: NDArray[np.intp], first: int, stop: int
    ) -> Iterator[NDArray[np.float32]]:
        """Each voxel's weight, summed over tiles and passes, slice (y, x) by slice.

        A tile's weights are a product of one factor per axis, so no volume of weights is needed. Where every
        tile has seen as many passes, the sum over tiles is such a product, too.
        """
        a, b, c = (
            _weights_of_tiles(size, tile, starts)
            for size, tile, starts in zip(self.padded_shape, self.patch, self.starts, strict=True)
        )
        rows = passes[a[:, first:stop].any(axis=1)]
        if (rows == rows.flat[0]).all():
            plane = (_total(b)[:, None] * _total(c)).astype(np.float32)
            for weight in _total(a)[first:stop] * rows.flat[0]:
                yield plane * np.float32(weight)
        else:
            for at_slice in a.T[first:stop]:
                yield (b.T @ np.tensordot(at_slice, passes, 1) @ c).astype(np.float32)


def deepest(bands: Sequence[Band]) -> int:
    """Slices that the deepest of the bands takes."""
    return max(band.stop - band.first for band in bands)


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


def _weights_of_tiles(size: int, tile: int, starts: Sequence[int]) -> NDArray[np.float64]:
    """Weights along one axis, (tiles, voxels)."""
    weights = np.zeros((len(starts), size))
    for row, start in zip(weights, starts, strict=True):
        row[start : start + tile] = gaussian(tile)
    return weights


def _total(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over tiles, one after the other."""
    total = np.zeros(weights.shape[1])
    for row in weights:
        total += row
    return total


def _outer(axes: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    a, b, c = axes
    return (a[:, None, None] * b[:, None] * c).astype(np.float32)
