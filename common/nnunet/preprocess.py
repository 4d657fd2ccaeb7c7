"""From images to the network's volume: transpose, crop to non-zero, normalise, resample.

Source: nnunetv2/preprocessing/preprocessors/default_preprocessor.py.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import InputError
from common.nnunet.normalise import normalise
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape, Spacing, resample, resampled_shape
from common.nnunet.space import Crop, NetworkSpace

Images = list[NDArray[np.float32]]


def preprocess(
    images: Sequence[NDArray[np.float32]], spacing: Spacing, plans: Plans
) -> tuple[Images, NetworkSpace]:
    """The network's channels, one per image, and where they lie.

    `images` (z, y, x) are in the plans' channel order, on one grid of that spacing (z, y, x, in
    mm). They are overwritten: at a clinical size there is no memory for a second copy.
    Raises `InputError` when every voxel of every image is zero.
    """
    forward = plans.transpose_forward
    transposed = [image.transpose(forward) for image in images]
    crop = nonzero_region(transposed)
    cropped = [image[crop] for image in transposed]
    mask = filled_mask(cropped) if any(channel.use_mask for channel in plans.channels) else None
    image_spacing = (spacing[forward[0]], spacing[forward[1]], spacing[forward[2]])
    shape = resampled_shape(_shape(cropped[0]), image_spacing, plans.spacing)
    channels: Images = []
    for image, channel in zip(cropped, plans.channels, strict=True):
        normalise(image, channel, mask)
        channels.append(resample(image, shape, image_spacing, plans.spacing, plans.resample_data))
    return channels, NetworkSpace(plans, _shape(images[0]), image_spacing, crop, shape)


def nonzero_region(images: Sequence[NDArray[np.float32]]) -> Crop:
    """The smallest box that holds every voxel that is not zero in some image."""
    nonzero = np.zeros(images[0].shape, bool)
    for image in images:
        nonzero |= image != 0
    return (
        _extent(np.flatnonzero(nonzero.any(axis=(1, 2)))),
        _extent(np.flatnonzero(nonzero.any(axis=(0, 2)))),
        _extent(np.flatnonzero(nonzero.any(axis=(0, 1)))),
    )


def filled_mask(images: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Where some image is not zero, with the holes that this region encloses."""
    background = np.logical_and.reduce([image == 0 for image in images])
    padded = np.pad(background, 1, constant_values=True)
    labels, _ = ndimage.label(padded)
    return np.asarray(labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _extent(indices: NDArray[np.intp]) -> slice:
    if indices.size == 0:
        raise InputError("every voxel of every image is zero; expected a PET/CT of a patient")
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _shape(array: NDArray[np.float32]) -> Shape:
    a, b, c = array.shape
    return a, b, c
