"""Connected components of a sparse mask, found in its runs of voxels rather than in the whole volume."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Components:
    """A mask's 18-connected components: voxels that share a face or an edge belong together."""

    voxels: NDArray[np.intp]
    """Flat indices of the mask's voxels, ascending."""
    labels: NDArray[np.intp]
    """Component of each of these voxels, counted from 0."""
    sizes: NDArray[np.intp]
    """Voxels of each component."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Self:
        """The components of a mask (z, y, x)."""
        voxels = np.flatnonzero(mask)
        starts, ends = _runs(voxels, mask.shape)
        count, run_labels = connected_components(_touching(starts, ends, mask.shape), directed=False)
        labels = np.repeat(run_labels.astype(np.intp), ends - starts)
        return cls(voxels, labels, np.bincount(labels, minlength=count))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def largest(self) -> int:
        """Voxels of the largest component, 0 if there is none."""
        return int(self.sizes.max(initial=0))

    def count(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How many voxels of each component have the flag; one flag per entry of `voxels`."""
        return np.bincount(self.labels[flags], minlength=len(self))

    def peak(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The highest value in each component; one value per entry of `voxels`."""
        peaks = np.full(len(self), -np.inf, np.float32)
        np.maximum.at(peaks, self.labels, values)
        return peaks


def _runs(voxels: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First voxel and the one after the last of every run along x, on a grid with one row and column more.

    The added row and column are empty: no run goes on in the next row, and no neighbour wraps around.
    """
    depth, height, width = shape
    z, y, x = np.unravel_index(voxels, shape)
    padded = (z * (height + 1) + y) * (width + 1) + x
    gaps = np.diff(padded, prepend=-2, append=depth * (height + 1) * (width + 1)) > 1
    return padded[gaps[:-1]], padded[gaps[1:]] + 1


def _touching(starts: NDArray[np.intp], ends: NDArray[np.intp], shape: tuple[int, ...]) -> coo_array:
    """Which runs share a face or an edge, as a sparse matrix."""
    row = shape[2] + 1
    plane = row * (shape[1] + 1)
    neighbours = [
        _overlaps(starts, ends, shift, reach)
        for shift, reach in ((row, 1), (plane, 1), (plane - row, 0), (plane + row, 0))
    ]
    these, others = np.concatenate(neighbours, axis=1)
    return coo_array((np.ones(len(these), bool), (these, others)), (len(starts), len(starts)))


def _overlaps(
    starts: NDArray[np.intp], ends: NDArray[np.intp], shift: int, reach: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of runs that overlap once the first is shifted, and grown by `reach` at both ends."""
    first = np.searchsorted(ends, starts + (shift - reach), side="right")
    last = np.searchsorted(starts, ends + (shift + reach), side="left")
    counts = last - first
    these = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(these)) - np.repeat(np.cumsum(counts) - counts, counts)
    return these, np.repeat(first, counts) + within
