"""How much memory a case takes with nnU-Net's recipe, known before any of it is taken."""

from math import prod

from common.geometry import Geometry
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape, resampled_shape

FLOAT32 = 4
FILLING = 8
"""Bytes per voxel while the holes of the non-zero mask are filled, of which the labels take four."""


def recipe_memory(geometry: Geometry, plans: Plans, sums: int | None = None) -> int:
    """Bytes beyond the images: resampled channels, the sums over tiles, and the way back to a mask.

    As much as an image takes that has nothing to crop. `sums` are the numbers that are summed up at a time,
    by default one for each voxel.
    """
    forward = plans.transpose_forward
    transposed = tuple(geometry.shape[axis] for axis in forward)
    shape = network_shape(geometry, plans)
    image, volume = prod(transposed), prod(shape)
    # A resampled channel is a new one, and the spline of a channel goes through a volume as large.
    channels = 0 if shape == transposed else len(plans.channels) + 1
    needed = FLOAT32 * (volume * channels + (volume if sums is None else sums) + image)
    if any(channel.use_mask for channel in plans.channels):
        return max(needed, FILLING * image) + image
    return needed


def network_shape(geometry: Geometry, plans: Plans) -> Shape:
    """Voxels in network space of an image that has nothing to crop."""
    a, b, c = plans.transpose_forward
    shape, spacing = geometry.shape, geometry.spacing_zyx
    transposed = (shape[a], shape[b], shape[c]), (spacing[a], spacing[b], spacing[c])
    return resampled_shape(*transposed, plans.spacing)
