"""Memory that preprocessing, prediction and resampling of a case need, computed in advance."""

from math import prod

from common.geometry import Geometry, triple
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape, resampled_shape

FLOAT32 = 4
HOLE_FILLING = 8
"""Bytes per voxel while the holes of the non-zero mask are filled; four of them for the labels."""


def recipe_memory(geometry: Geometry, plans: Plans, sums: int | None = None) -> int:
    """Return the bytes needed beside the images, for an image that has no zero border to crop.

    They hold the resampled channels, the sums of the logits over tiles, and the prediction on the image's
    grid. `sums` is the number of sums held at a time, by default one per voxel in network space.
    """
    forward = plans.transpose_forward
    transposed = triple(geometry.shape[axis] for axis in forward)
    shape = network_shape(geometry, plans)
    image, volume = prod(transposed), prod(shape)
    # Resampling allocates every channel anew, and one volume of that size as an intermediate result.
    channels = 0 if shape == transposed else len(plans.channels) + 1
    needed = FLOAT32 * (volume * channels + (volume if sums is None else sums) + image)
    if any(channel.use_mask for channel in plans.channels):
        return max(needed, HOLE_FILLING * image) + image
    return needed


def network_shape(geometry: Geometry, plans: Plans) -> Shape:
    """Return the shape in network space of an image that has no zero border to crop."""
    shape = triple(geometry.shape[axis] for axis in plans.transpose_forward)
    spacing = triple(geometry.spacing_zyx[axis] for axis in plans.transpose_forward)
    return resampled_shape(shape, spacing, plans.spacing)
