"""Connected components of sparse masks, computed on runs of voxels instead of the whole volume."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Components:
    """The 18-connected components of a mask: voxels with a common face or edge are connected."""

    voxels: NDArray[np.intp]
    """Flat indices of the mask's voxels, ascending."""
    labels: NDArray[np.intp]
    """Component of each of these voxels, numbered from 0."""
    sizes: NDArray[np.intp]
    """Number of voxels of each component."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Self:
        """Compute the components of a mask (z, y, x)."""
        voxels = np.flatnonzero(mask)
        starts, ends = _runs(voxels, mask.shape)
        count, run_labels = connected_components(_adjacency(starts, ends, mask.shape), directed=False)
        labels = np.repeat(run_labels.astype(np.intp), ends - starts)
        return cls(voxels, labels, np.bincount(labels, minlength=count))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def largest(self) -> int:
        """Number of voxels of the largest component, 0 if there is none."""
        return int(self.sizes.max(initial=0))

    def count(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Count the flagged voxels of each component; `flags` has one entry per entry of `voxels`."""
        return np.bincount(self.labels[flags], minlength=len(self))

    def peak(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maximum in each component; `values` has one entry per entry of `voxels`."""
        peaks = np.full(len(self), -np.inf, np.float32)
        np.maximum.at(peaks, self.labels, values)
        return peaks


def _runs(voxels: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return start and end (exclusive) of every run along x, as flat indices of a padded grid.

    The grid is padded by one empty row and column, so that runs end with their row and neighbours do not wrap
    around.
    """
    depth, height, width = shape
    z, y, x = np.unravel_index(voxels, shape)
    padded = (z * (height + 1) + y) * (width + 1) + x
    gaps = np.diff(padded, prepend=-2, append=depth * (height + 1) * (width + 1)) > 1
    return padded[gaps[:-1]], padded[gaps[1:]] + 1


def _adjacency(starts: NDArray[np.intp], ends: NDArray[np.intp], shape: tuple[int, ...]) -> coo_array:
    """Return the sparse adjacency matrix of runs with a common face or edge."""
    row = shape[2] + 1
    plane = row * (shape[1] + 1)
    neighbours = [
        _overlaps(starts, ends, shift, reach)
        for shift, reach in ((row, 1), (plane, 1), (plane - row, 0), (plane + row, 0))
    ]
    first, second = np.concatenate(neighbours, axis=1)
    return coo_array((np.ones(len(first), bool), (first, second)), (len(starts), len(starts)))


def _overlaps(
    starts: NDArray[np.intp], ends: NDArray[np.intp], shift: int, reach: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of runs that overlap after the first is shifted and extended by `reach` at both ends."""
    first = np.searchsorted(ends, starts + (shift - reach), side="right")
    last = np.searchsorted(starts, ends + (shift + reach), side="left")
    counts = last - first
    run = np.repeat(np.arange(len(starts)), counts)
    position = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)
    return run, np.repeat(first, counts) + position
