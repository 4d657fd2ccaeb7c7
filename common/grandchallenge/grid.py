"""Bringing an image to the grid of another."""

import itertools

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.geometry import Geometry
from common.grandchallenge.images import Image
from common.grandchallenge.itk import enough_memory_to, image_of

SAME_WITHIN = 0.1
"""Voxels: rounded headers stay below it, and no visible shift is above it."""


def same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether the voxels of two images lie on each other, up to the rounding of their headers."""
    if one.size != other.size:
        return False
    distances = np.linalg.norm(_corners(one) - _corners(other), axis=1)
    return bool(distances.max() <= SAME_WITHIN * min(one.spacing))


def overlap(reference: Geometry, other: Geometry) -> bool:
    """Whether the box of `reference`'s voxel centres meets that of `other`'s voxels, in any orientation.

    The separating axis theorem: two boxes are disjoint if and only if their projections are, on the normal of
    one of their faces or on the cross product of an edge of each; all of these are crosses of two edges.
    """
    reference_half_edges = _steps(reference) * (np.array(reference.size) - 1) / 2
    other_half_edges = _steps(other) * np.array(other.size) / 2
    edges = np.hstack([reference_half_edges, other_half_edges]).T
    between = _centre(other) - _centre(reference)
    axes = [np.cross(first, second) for first, second in itertools.combinations(edges, 2)]
    return all(abs(between @ axis) <= np.abs(edges @ axis).sum() for axis in axes)


def resample(image: Image, grid: Geometry, outside: float) -> Image:
    """Interpolate linearly onto `grid`, with `outside` where the image does not reach.

    Raises `MachineError` when memory runs out.
    """
    with enough_memory_to(f"resample an image to {grid.size} voxels"):
        resampled = SimpleITK.Resample(
            image_of(image.voxels, image.geometry),
            grid.size,
            SimpleITK.Transform(),
            SimpleITK.sitkLinear,
            grid.origin,
            grid.spacing,
            grid.direction,
            outside,
        )
        return Image(SimpleITK.GetArrayFromImage(resampled), grid)


def _steps(grid: Geometry) -> NDArray[np.float64]:
    """Millimetres from a voxel to the next along x, y, z, as columns."""
    return np.reshape(grid.direction, (3, 3)) * np.array(grid.spacing)


def _position(grid: Geometry, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Patient coordinates of indices (…, 3) in x, y, z, in mm."""
    return np.array(grid.origin) + index @ _steps(grid).T


def _centre(grid: Geometry) -> NDArray[np.float64]:
    return _position(grid, (np.array(grid.size) - 1) / 2)


def _corners(grid: Geometry) -> NDArray[np.float64]:
    return _position(grid, np.array(list(itertools.product(*((0, size - 1) for size in grid.size))), float))
