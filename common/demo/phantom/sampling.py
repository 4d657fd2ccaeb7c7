"""A grid laid through a patient's body."""

from collections.abc import Iterator

import numpy as np

from common.demo.phantom.solids import Field, Point, Solid

SLAB = 4
"""Slices worked on at a time, which bounds the memory."""

Box = tuple[slice, slice, slice]


class Sampling:
    """The voxel centres of a grid in a patient's body coordinates.

    `origin` and `spacing` are (z, y, x) in mm. `stature` is the patient's size relative to the usual
    body's along each axis; coordinates are divided by it, so that the shapes need not know.
    """

    def __init__(self, shape: tuple[int, int, int], origin: Point, spacing: Point, stature: Point) -> None:
        self.shape = shape
        self.spacing = spacing
        self.z, self.y, self.x = (
            ((start + step * np.arange(size)) / scale).astype(np.float32)
            for size, start, step, scale in zip(shape, origin, spacing, stature, strict=True)
        )
        self.voxel_edge = float(np.mean(np.divide(spacing, stature)))

    def distances(self, shape: Solid) -> Iterator[tuple[Box, Field]]:
        """Distances to the surface in mm, slab by slab, where the shape can reach."""
        rows, columns = self._reach(shape, 1), self._reach(shape, 2)
        y, x = self.y[rows, None], self.x[columns]
        if y.size == 0 or x.size == 0:
            return
        slices = self._reach(shape, 0)
        for start in range(slices.start, slices.stop, SLAB):
            slab = slice(start, min(start + SLAB, slices.stop))
            yield (slab, rows, columns), shape.distance(self.z[slab, None, None], y, x)

    def covers(self, shape: Solid) -> Iterator[tuple[Box, Field]]:
        """How much of each voxel the shape fills, between 0 and 1, slab by slab."""
        for box, distance in self.distances(shape):
            yield box, np.clip(0.5 - distance / self.voxel_edge, 0, 1)

    def deepest_voxel(self, shape: Solid) -> tuple[int, int, int] | None:
        """Find the voxel (z, y, x) farthest inside the shape; `None` where the grid misses it."""
        depth, deepest = 0.0, None
        for box, distance in self.distances(shape):
            if distance.min() < depth:
                depth = float(distance.min())
                z, y, x = np.unravel_index(int(distance.argmin()), distance.shape)
                deepest = int(z) + box[0].start, int(y) + box[1].start, int(x) + box[2].start
        return deepest

    def _reach(self, shape: Solid, axis: int) -> slice:
        lower, upper = shape.bounds()
        coordinates = (self.z, self.y, self.x)[axis]
        start, stop = np.searchsorted(
            coordinates, [lower[axis] - self.voxel_edge, upper[axis] + self.voxel_edge]
        ).tolist()
        return slice(start, max(start, stop))
