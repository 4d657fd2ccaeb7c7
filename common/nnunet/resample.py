"""nnU-Net's resampling, one axis at a time.

nnU-Net resizes with `skimage.transform.resize`, which is SciPy's spline zoom on voxel centres with edge
padding. This interpolation is linear in the voxel values and separable, so one small matrix product per axis
gives the same result; the matrix is the zoom of the identity matrix.
"""

from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from common.geometry import triple
from common.nnunet.plans import Resampling

ANISOTROPY_THRESHOLD = 3
"""The coarsest axis is resampled separately above this ratio of spacings (nnU-Net's `ANISO_THRESHOLD`)."""

MIN_WEIGHT = 1e-12
"""Smaller interpolation weights do not change a float32 result."""

Shape = tuple[int, int, int]
"""In voxels, (z, y, x) or in the network's axes."""
Spacing = tuple[float, float, float]
"""In mm, in the same axes."""


def resampled_shape(shape: Shape, spacing: Spacing, new_spacing: Spacing) -> Shape:
    """Return the shape after resampling from one spacing (mm) to another."""
    return triple(round(old / new * size) for old, new, size in zip(spacing, new_spacing, shape, strict=True))


def separate_axis(spacing: Spacing, new_spacing: Spacing, force: bool | None) -> int | None:
    """Return the coarsest axis if it is to be resampled separately, otherwise `None`.

    `force` is the plans' `force_separate_z`. Source: `determine_do_sep_z_and_axis` in
    nnunetv2/preprocessing/resampling/default_resampling.py.
    """
    if force is False:
        return None
    anisotropic = (s for s in (spacing, new_spacing) if max(s) / min(s) > ANISOTROPY_THRESHOLD)
    deciding = spacing if force else next(anisotropic, None)
    if deciding is None:
        return None
    coarse = [axis for axis in range(3) if deciding[axis] == max(deciding)]
    return coarse[0] if len(coarse) == 1 else None


def resample(
    volume: NDArray[np.float32],
    shape: Shape,
    spacing: Spacing,
    new_spacing: Spacing,
    how: Resampling,
) -> NDArray[np.float32]:
    """Resample one channel (z, y, x) to `shape`; a volume of that shape is returned itself, not a copy.

    As in `skimage.transform.resize`, results are clipped to the range of the input.
    """
    if volume.shape == shape:
        return volume
    axis = separate_axis(spacing, new_spacing, how.force_separate_z)
    order = axis_order(triple(volume.shape), shape, axis)
    if axis is None:
        result = reduce(lambda v, a: resample_axis(v, a, shape[a], how.order), order, volume)
        return np.clip(result, volume.min(), volume.max(), out=result)
    in_plane = order[:-1]
    result = reduce(lambda v, a: resample_axis(v, a, shape[a], how.order), in_plane, volume)
    if result is not volume:
        lowest = volume.min(axis=tuple(in_plane), keepdims=True)
        highest = volume.max(axis=tuple(in_plane), keepdims=True)
        np.clip(result, lowest, highest, out=result)
    return resample_axis(result, axis, shape[axis], how.order_z)


def axis_order(shape: Shape, new_shape: Shape, separate: int | None) -> list[int]:
    """Return the axes in the order of their resampling: the cheapest first, a separate one last."""
    if separate is None:
        return sorted(range(3), key=lambda axis: new_shape[axis] / shape[axis])
    return [*(axis for axis in range(3) if axis != separate), separate]


def resample_axis(volume: NDArray[np.float32], axis: int, size: int, order: int) -> NDArray[np.float32]:
    """Resample one axis of an array of any dimension to `size` by a spline of the given order."""
    if volume.shape[axis] == size:
        return volume
    if order == 0:
        return np.take(volume, nearest(volume.shape[axis], size), axis)
    matrix = spline_matrix(volume.shape[axis], size, order)
    before, after = volume.shape[:axis], volume.shape[axis + 1 :]
    if not after:
        return (volume.reshape(-1, volume.shape[axis]) @ matrix.T).reshape(*before, size)
    flat = volume.reshape(*before, volume.shape[axis], -1)
    return np.matmul(matrix, flat).reshape(*before, size, *after)


def nearest(size: int, new_size: int) -> NDArray[np.intp]:
    """Return the index of the voxel whose centre is nearest to each of `new_size` voxel centres.

    Ties are decided by floating-point rounding as in nnU-Net, so the order of operations matters.
    """
    centres = size / new_size * (np.arange(new_size) + 0.5) - 0.5
    return np.clip(np.floor(centres + 0.5), 0, size - 1).astype(np.intp)


@lru_cache(maxsize=16)
def spline_matrix(size: int, new_size: int, order: int) -> NDArray[np.float32]:
    """Return the matrix (new_size, size) of SciPy's spline zoom along one axis.

    Voxel centres are aligned (`grid_mode`), with edge padding.
    """
    if size == 1:
        return np.ones((new_size, 1), np.float32)
    identity = np.eye(size)
    matrix = zoom(identity, (new_size / size, 1), order=order, mode="nearest", grid_mode=True)
    # Weights far from the diagonal decay to denormals of float32, which slow the product down tenfold.
    matrix[abs(matrix) < MIN_WEIGHT] = 0
    return matrix.astype(np.float32)
