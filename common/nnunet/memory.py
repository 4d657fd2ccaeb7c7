"""Memory that preprocessing a case needs, computed in advance.

All sizes are those of an image without a frame of zeros, which would be cropped.
"""

from itertools import pairwise
from math import prod

from common.geometry import Geometry, triple
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape, axis_order, resampled_shape, separate_axis

FLOAT32 = 4
HOLE_FILLING = 8
"""Bytes per voxel while the holes of the non-zero mask are filled; four of them for the labels."""
NONZERO = 2
"""Bytes per voxel while the non-zero region is found."""


def preprocessing_memory(geometry: Geometry, plans: Plans) -> int:
    """Return the bytes that preprocessing takes at most beside the images, which it uses up."""
    image = prod(geometry.shape)
    has_mask = any(channel.use_mask for channel in plans.channels)
    filling = (HOLE_FILLING if has_mask else NONZERO) * image
    mask = image if has_mask else 0
    if not is_resampled(geometry, plans):
        return max(filling, mask)
    resampling = FLOAT32 * _resampling(geometry, plans)
    if has_mask and plans.generation == 1:  # the mask is resampled, too, as numbers
        filling = max(filling, mask + FLOAT32 * image + resampling)
        mask = prod(network_shape(geometry, plans))
    # While the last channel is resampled, the others are there; while the first is, the other images are.
    others = max(0, channels_memory(geometry, plans, len(plans.channels) - 1))
    return max(filling, others + resampling + mask)


def channels_memory(geometry: Geometry, plans: Plans, count: int | None = None) -> int:
    """Return the bytes by which the network's channels, or some, exceed as many images; may be negative."""
    count = len(plans.channels) if count is None else count
    return FLOAT32 * count * (prod(network_shape(geometry, plans)) - prod(geometry.shape))


def network_shape(geometry: Geometry, plans: Plans) -> Shape:
    """Return the shape in network space of an image that has no zero border to crop."""
    shape, spacing = _transposed(geometry, plans)
    return resampled_shape(shape, spacing, plans.spacing)


def is_resampled(geometry: Geometry, plans: Plans) -> bool:
    """Return whether network space has another grid than the image."""
    return network_shape(geometry, plans) != _transposed(geometry, plans)[0]


def _transposed(geometry: Geometry, plans: Plans) -> tuple[Shape, tuple[float, float, float]]:
    forward = plans.transpose_forward
    return (
        triple(geometry.shape[axis] for axis in forward),
        triple(geometry.spacing_zyx[axis] for axis in forward),
    )


def _resampling(geometry: Geometry, plans: Plans) -> int:
    """Voxels of the result, and of intermediate results, at most, while an image is resampled."""
    shape, spacing = _transposed(geometry, plans)
    new_shape = network_shape(geometry, plans)
    separate = separate_axis(spacing, plans.spacing, plans.resample_data.force_separate_z)
    sizes, there = [0], list(shape)
    for axis in axis_order(shape, new_shape, separate):
        if there[axis] != new_shape[axis]:
            there[axis] = new_shape[axis]
            sizes.append(prod(there))
    return max(before + after for before, after in pairwise(sizes))
