"""How much memory a case takes with nnU-Net's recipe, known before any of it is taken."""

from math import prod

from common.geometry import Geometry
from common.nnunet.plans import Plans
from common.nnunet.resample import resampled_shape

FLOAT32 = 4
FILLING = 8
"""Bytes per voxel while the holes of the non-zero mask are filled, of which the labels take four."""


def recipe_memory(geometry: Geometry, plans: Plans) -> int:
    """Bytes beyond the images: resampled channels, the sum over tiles, and the way back to a mask.

    As much as an image takes that has nothing to crop.
    """
    forward = plans.transpose_forward
    shape, spacing = geometry.shape, geometry.spacing_zyx
    transposed = (shape[forward[0]], shape[forward[1]], shape[forward[2]])
    transposed_spacing = (spacing[forward[0]], spacing[forward[1]], spacing[forward[2]])
    network_shape = resampled_shape(transposed, transposed_spacing, plans.spacing)
    image, volume = prod(shape), prod(network_shape)
    # A resampled channel is a new one, and the spline of a channel goes through a volume as large.
    channels = 0 if network_shape == transposed else len(plans.channels) + 1
    needed = FLOAT32 * (volume * (channels + 1) + image)
    if any(channel.use_mask for channel in plans.channels):
        return max(needed, FILLING * image) + image
    return needed
