"""Sampling of solids on an image grid."""

from collections.abc import Iterator

import numpy as np

from common.demo.phantom.solids import Field, Point, Solid
from common.geometry import triple

SLICES_PER_SLAB = 4
"""Slices processed at a time, to limit the memory."""

Box = tuple[slice, slice, slice]


class Sampling:
    """The voxel centres of an image grid in the coordinates of the reference body.

    `origin` and `spacing` are (z, y, x) in mm. `scale` is the patient's size relative to the reference body
    along each axis; voxel coordinates are divided by it.
    """

    def __init__(self, shape: tuple[int, int, int], origin: Point, spacing: Point, scale: Point) -> None:
        self.shape = shape
        self.spacing = spacing
        self.z, self.y, self.x = (
            ((start + step * np.arange(size)) / factor).astype(np.float32)
            for size, start, step, factor in zip(shape, origin, spacing, scale, strict=True)
        )
        self.voxel_edge = float(np.mean(np.divide(spacing, scale)))

    def distances(self, shape: Solid) -> Iterator[tuple[Box, Field]]:
        """Yield signed distances to the surface in mm, slab by slab, within the shape's bounding box."""
        rows, columns = self._range(shape, 1), self._range(shape, 2)
        y, x = self.y[rows, None], self.x[columns]
        if y.size == 0 or x.size == 0:
            return
        slices = self._range(shape, 0)
        for start in range(slices.start, slices.stop, SLICES_PER_SLAB):
            slab = slice(start, min(start + SLICES_PER_SLAB, slices.stop))
            yield (slab, rows, columns), shape.distance(self.z[slab, None, None], y, x)

    def volume_fractions(self, shape: Solid) -> Iterator[tuple[Box, Field]]:
        """Yield the approximate fraction (0 to 1) of each voxel that the shape fills, slab by slab."""
        for box, distance in self.distances(shape):
            yield box, np.clip(0.5 - distance / self.voxel_edge, 0, 1)

    def deepest_voxel(self, shape: Solid) -> tuple[int, int, int] | None:
        """Return the voxel (z, y, x) farthest inside the shape, `None` where no voxel is inside."""
        depth, deepest = 0.0, None
        for box, distance in self.distances(shape):
            if distance.min() < depth:
                depth = float(distance.min())
                index = np.unravel_index(int(distance.argmin()), distance.shape)
                deepest = triple(int(i) + axis.start for i, axis in zip(index, box, strict=True))
        return deepest

    def _range(self, shape: Solid, axis: int) -> slice:
        lower, upper = shape.bounds()
        coordinates = (self.z, self.y, self.x)[axis]
        start, stop = np.searchsorted(
            coordinates, [lower[axis] - self.voxel_edge, upper[axis] + self.voxel_edge]
        ).tolist()
        return slice(start, max(start, stop))
