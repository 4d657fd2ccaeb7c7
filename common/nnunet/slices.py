"""Resampling slice by slice, for predictions too large to be in memory at both resolutions."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple
from common.nnunet.plans import Resampling
from common.nnunet.resample import Shape, Spacing, nearest, resample_axis, separate_axis, spline_matrix

SLICES_HELD = 6
"""Slices of the larger size that `resample_slices` and its caller hold at most: two of the volume, a product,
the result, the one before it, and one on its way."""
MAX_ORDER = 1
"""With a spline of higher order, every slice depends on all others."""


def streams(how: Resampling) -> bool:
    """Return whether the volume can be resampled slice by slice."""
    return max(how.order, how.order_z) <= MAX_ORDER


def axis_orders(spacing: Spacing, new_spacing: Spacing, how: Resampling) -> tuple[int, int, int]:
    """Return the spline order along each axis for resampling from one spacing (mm) to another."""
    separate = separate_axis(spacing, new_spacing, how.force_separate_z)
    return triple(how.order_z if axis == separate else how.order for axis in range(3))


def resample_slices(
    slabs: Iterable[NDArray[np.float32]], shape: Shape, new_shape: Shape, orders: tuple[int, int, int]
) -> Iterator[NDArray[np.float32]]:
    """Yield the slices (C, y, x) of the resampled volume, in order along the first axis.

    The result is that of `resample` for each channel; only the slices needed for the next one are in memory.

    Parameters
    ----------
    slabs
        The volume in consecutive pieces (C, slices, y, x); a piece may be overwritten once the next one is
        requested.
    shape, new_shape
        Shape of the volume and of the result.
    orders
        Spline order along each axis, at most `MAX_ORDER`.

    """
    weights = _weights(shape[0], new_shape[0], orders[0])
    used: list[list[int]] = [np.flatnonzero(row).tolist() for row in weights]
    held: dict[int, NDArray[np.float32]] = {}
    number = 0
    for index, slice_ in enumerate(_slices(slabs)):
        held[index] = _in_plane(slice_, new_shape, orders)
        while number < len(used) and used[number][-1] <= index:
            yield _weighted_sum([(held[i], weights[number, i]) for i in used[number]])
            number += 1
        needed = used[number][0] if number < len(used) else index + 1
        for i in [i for i in held if i < needed]:
            del held[i]


def _weighted_sum(parts: Sequence[tuple[NDArray[np.float32], np.float32]]) -> NDArray[np.float32]:
    (first, weight), *others = parts
    total = first * weight
    for slice_, weight in others:
        total += slice_ * weight
    return total


def _slices(slabs: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for slab in slabs:
        yield from slab.swapaxes(0, 1)


def _in_plane(
    slice_: NDArray[np.float32], new_shape: Shape, orders: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Resample a slice (C, y, x) in plane, to a new array."""
    resized = resample_axis(slice_, 1, new_shape[1], orders[1])
    resized = resample_axis(resized, 2, new_shape[2], orders[2])
    return resized.copy() if resized is slice_ else resized


def _weights(size: int, new_size: int, order: int) -> NDArray[np.float32]:
    """Return the matrix (new_size, size) that resamples along the first axis."""
    if size == new_size:
        return np.eye(size, dtype=np.float32)
    if order == 0:
        return np.eye(size, dtype=np.float32)[nearest(size, new_size)]
    return spline_matrix(size, new_size, order)
