"""Solids in continuous body coordinates, described by signed distance functions.

Coordinates and lengths are (z, y, x) in mm: z towards the head, y towards the back, x towards the
patient's left.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple

Field = NDArray[np.float32]
Point = tuple[float, float, float]
Bounds = tuple[Point, Point]
"""Lower and upper corner of an axis-aligned bounding box."""


class Solid(Protocol):
    """A solid with a bounding box and a signed distance function."""

    def bounds(self) -> Bounds:
        """Return a box that encloses the solid."""
        ...

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """Return the approximate signed distance to the surface in mm, negative inside; inputs broadcast."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, rotated by `angle` radians about the y axis."""

    centre: Point
    radii: Point
    angle: float = 0.0

    def bounds(self) -> Bounds:
        """See `Solid`."""
        rz, ry, rx = self.radii
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        half_size = (math.hypot(rz * cosine, rx * sine), ry, math.hypot(rx * cosine, rz * sine))
        return _box(self.centre, half_size)

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        (cz, cy, cx), (rz, ry, rx) = self.centre, self.radii
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        z, y, x = z - cz, y - cy, x - cx
        z, x = cosine * z - sine * x, sine * z + cosine * x
        level = np.sqrt((z / rz) ** 2 + (y / ry) ** 2 + (x / rx) ** 2)
        slope = np.sqrt((z / rz**2) ** 2 + (y / ry**2) ** 2 + (x / rx**2) ** 2)
        return np.where(slope > 0, level * (level - 1) / np.maximum(slope, 1e-9), -min(self.radii))


@dataclass(frozen=True)
class Tube:
    """A chain of truncated cones through points, with a radius in mm at each."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def bounds(self) -> Bounds:
        """See `Solid`."""
        boxes = [_box(point, (r, r, r)) for point, r in zip(self.points, self.radii, strict=True)]
        return _enclosing(boxes)

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        ends = zip(self.points, self.radii, strict=True)
        return np.minimum.reduce([_cone(a, b, z, y, x) for a, b in pairwise(ends)])


@dataclass(frozen=True)
class Blob:
    """The union of overlapping spheres: a lesion of irregular shape."""

    centres: tuple[Point, ...]
    radii: tuple[float, ...]

    def bounds(self) -> Bounds:
        """See `Solid`."""
        boxes = [_box(centre, (r, r, r)) for centre, r in zip(self.centres, self.radii, strict=True)]
        return _enclosing(boxes)

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        spheres = [
            np.sqrt((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) - radius
            for (cz, cy, cx), radius in zip(self.centres, self.radii, strict=True)
        ]
        return np.minimum.reduce(spheres)


@dataclass(frozen=True)
class Column:
    """A solid of elliptic cross-sections, linearly interpolated between the given heights."""

    heights: tuple[float, ...]
    half_depths: tuple[float, ...]
    half_widths: tuple[float, ...]
    middles: tuple[float, ...]
    """Centre of each cross-section along y."""

    def bounds(self) -> Bounds:
        """See `Solid`."""
        front = min(m - d for m, d in zip(self.middles, self.half_depths, strict=True))
        back = max(m + d for m, d in zip(self.middles, self.half_depths, strict=True))
        width = max(self.half_widths)
        return (self.heights[0], front, -width), (self.heights[-1], back, width)

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        depth = np.interp(z, self.heights, self.half_depths).astype(np.float32)
        width = np.interp(z, self.heights, self.half_widths).astype(np.float32)
        middle = np.interp(z, self.heights, self.middles).astype(np.float32)
        level = np.hypot((y - middle) / depth, x / width)
        sides = (level - 1) * np.minimum(depth, width)
        ends = np.maximum(self.heights[0] - z, z - self.heights[-1])
        return np.maximum(sides, ends)


@dataclass(frozen=True)
class Inset:
    """A shape eroded by `depth` mm, or dilated where `depth` is negative."""

    shape: Solid
    depth: float

    def bounds(self) -> Bounds:
        """See `Solid`."""
        lower, upper = self.shape.bounds()
        return _point(np.add(lower, self.depth)), _point(np.subtract(upper, self.depth))

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        return self.shape.distance(z, y, x) + self.depth


@dataclass(frozen=True)
class Intersection:
    """The intersection of two shapes."""

    first: Solid
    second: Solid

    def bounds(self) -> Bounds:
        """See `Solid`."""
        (lower_1, upper_1), (lower_2, upper_2) = self.first.bounds(), self.second.bounds()
        return _point(np.maximum(lower_1, lower_2)), _point(np.minimum(upper_1, upper_2))

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        return np.maximum(self.first.distance(z, y, x), self.second.distance(z, y, x))


@dataclass(frozen=True)
class Rings:
    """Oblique rings in the surface of a shape: ribs."""

    shape: Solid
    lowest: float
    highest: float
    """Heights between which the rings lie, measured at y = 0."""
    pitch: float
    """Distance between neighbouring rings, in mm."""
    height: float
    """Extent of a ring along z, in mm."""
    thickness: float
    """Extent of a ring across the surface, in mm."""
    slope: float = 0.5
    """Descent of a ring towards the front, in mm per mm."""

    def bounds(self) -> Bounds:
        """See `Solid`."""
        outwards = self.thickness / 2
        (_, front, right), (_, back, left) = Inset(self.shape, -outwards).bounds()
        lower = self.lowest + self.slope * front, front, right
        upper = self.highest + self.slope * back, back, left
        return lower, upper

    def distance(self, z: Field, y: Field, x: Field) -> Field:
        """See `Solid`."""
        height = z - self.slope * y - self.lowest
        shell = np.abs(self.shape.distance(z, y, x)) - self.thickness / 2
        ring = np.abs(np.mod(height, self.pitch) - self.pitch / 2) - self.height / 2
        ends = np.maximum(-height, height - (self.highest - self.lowest))
        return np.maximum(shell, np.maximum(ring, ends))


def _cone(a: tuple[Point, float], b: tuple[Point, float], z: Field, y: Field, x: Field) -> Field:
    (az, ay, ax), radius_a = a
    (bz, by, bx), radius_b = b
    dz, dy, dx = bz - az, by - ay, bx - ax
    length_squared = max(dz * dz + dy * dy + dx * dx, 1e-6)
    along = ((z - az) * dz + (y - ay) * dy + (x - ax) * dx) / length_squared
    along = np.clip(along, 0, 1)
    radial = np.sqrt((z - az - along * dz) ** 2 + (y - ay - along * dy) ** 2 + (x - ax - along * dx) ** 2)
    return radial - (radius_a + along * (radius_b - radius_a))


def _box(centre: Point, half_size: Point) -> Bounds:
    return _point(np.subtract(centre, half_size)), _point(np.add(centre, half_size))


def _enclosing(boxes: list[Bounds]) -> Bounds:
    lowers, uppers = zip(*boxes, strict=True)
    return _point(np.min(lowers, axis=0)), _point(np.max(uppers, axis=0))


def _point(values: NDArray[np.float64]) -> Point:
    return triple(values.tolist())
