"""nnU-Net's preprocessing: transpose, crop to non-zero, normalise, resample.

Sources: nnunetv2/preprocessing/preprocessors/default_preprocessor.py and, for nnU-Net v1, which resamples
before it normalises, nnunet/preprocessing/preprocessing.py (nnU-Net 1.7.1).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import InputError
from common.geometry import triple
from common.nnunet.normalise import normalise
from common.nnunet.plans import Plans, Resampling
from common.nnunet.resample import Spacing, resample, resampled_shape
from common.nnunet.space import Crop, NetworkSpace

Images = list[NDArray[np.float32]]
Mask = NDArray[np.bool_]

MASK_THRESHOLD = np.float32(0.5 - 1e-6)
"""Slightly below 0.5, so that a voxel half inside the non-zero region is inside despite rounding errors."""


def preprocess(images: Images, spacing: Spacing, plans: Plans) -> tuple[Images, NetworkSpace]:
    """Preprocess images; return the network's channels, one per image, and their position in the image.

    Parameters
    ----------
    images
        (z, y, x), in HU or SUV, in the plans' channel order, on one grid. They are overwritten and taken out
        of the list, because a clinical case leaves no memory for a second copy.
    spacing
        Voxel spacing of the images, (z, y, x), in mm.
    plans
        nnU-Net's plans.

    Raises
    ------
    InputError
        All voxels are zero, or the non-zero region is smaller than one voxel of the plans' spacing.

    """
    forward = plans.transpose_forward
    image_shape = triple(images[0].shape)
    crop = nonzero_region([image.transpose(forward) for image in images])
    cropped = [image.transpose(forward)[crop] for image in images]
    images.clear()
    mask = filled_mask(cropped) if any(channel.use_mask for channel in plans.channels) else None
    image_spacing = triple(spacing[axis] for axis in forward)
    shape = resampled_shape(triple(cropped[0].shape), image_spacing, plans.spacing)
    if min(shape) < 1:
        raise InputError(
            f"the non-zero field of view has {cropped[0].shape} voxels of {image_spacing} mm, expected at "
            f"least one voxel of the network's {plans.spacing} mm; upload the whole image"
        )
    space = NetworkSpace(plans, image_shape, image_spacing, crop, shape)
    steps = _resample_and_normalise if plans.generation == 1 else _normalise_and_resample
    return steps(cropped, mask, space), space


def _normalise_and_resample(images: Images, mask: Mask | None, space: NetworkSpace) -> Images:
    channels: Images = []
    for channel in space.plans.channels:
        image = images.pop(0)
        normalise(image, channel, mask)
        channels.append(_resample(image, space, space.plans.resample_data))
    return channels


def _resample_and_normalise(images: Images, mask: Mask | None, space: NetworkSpace) -> Images:
    if mask is not None:
        how = replace(space.plans.resample_data, order=1, order_z=0)
        mask = _resample(mask.astype(np.float32), space, how) >= MASK_THRESHOLD
    channels: Images = []
    for channel in space.plans.channels:
        resampled = _resample(images.pop(0), space, space.plans.resample_data)
        normalise(resampled, channel, mask)
        if mask is not None and channel.use_mask and channel.scheme != "none":
            resampled[~mask] = 0
        channels.append(resampled)
    return channels


def _resample(volume: NDArray[np.float32], space: NetworkSpace, how: Resampling) -> NDArray[np.float32]:
    return resample(volume, space.shape, space.image_spacing, space.plans.spacing, how)


def nonzero_region(images: Sequence[NDArray[np.float32]]) -> Crop:
    """Return the bounding box of the voxels that are non-zero in at least one image."""
    nonzero = np.zeros(images[0].shape, bool)
    for image in images:
        nonzero |= image != 0
    return (
        _extent(np.flatnonzero(nonzero.any(axis=(1, 2)))),
        _extent(np.flatnonzero(nonzero.any(axis=(0, 2)))),
        _extent(np.flatnonzero(nonzero.any(axis=(0, 1)))),
    )


def filled_mask(images: Sequence[NDArray[np.float32]]) -> Mask:
    """Return the mask of voxels that are non-zero in at least one image, with holes filled."""
    background = np.logical_and.reduce([image == 0 for image in images])
    padded = np.pad(background, 1, constant_values=True)
    labels, _ = ndimage.label(padded)
    return np.asarray(labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _extent(indices: NDArray[np.intp]) -> slice:
    if indices.size == 0:
        raise InputError("every voxel of every image is zero; expected an image of a patient")
    return slice(int(indices[0]), int(indices[-1]) + 1)
