"""A mask, or one label per voxel, from a network's mean logits or probabilities.

As nnU-Net does, they are brought to the image's grid before they are compared: slice by slice, so that they
are never in memory at both resolutions. Where the memory is short, the sums of some rows of tiles are held at
a time; the mask is the same.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from common.inference.memory import slices_that_fit
from common.inference.network import Network
from common.inference.options import Options
from common.inference.predict import Foreground, predict, predict_classes, predict_slabs
from common.inference.volume import Volume
from common.nnunet.slices import axis_orders, resample_slices, streams
from common.nnunet.space import NetworkSpace

THRESHOLDS: dict[Foreground, float] = {"logit": 0.0, "probability": 0.5}
"""Above which a voxel is foreground."""


def predict_mask(
    volume: Volume, network: Network, space: NetworkSpace, options: Options, foreground: Foreground = "logit"
) -> NDArray[np.uint8]:
    """The foreground of a network of two classes, (z, y, x) on the image's grid; raises as `predict`."""
    threshold = THRESHOLDS[foreground]
    if not streams(space.plans.resample_prediction):
        return space.mask(predict(volume, network, options, foreground), threshold)
    mask = np.empty(space.cropped_shape, np.uint8)
    slabs = predict_slabs(volume, network, options, foreground, slices_that_fit(network, space))
    for slice_, (values,) in zip(mask, _on_image_grid(slabs, space), strict=True):
        slice_[...] = values > threshold
    return space.to_image(mask)


def predict_labels(
    volume: Volume, network: Network, space: NetworkSpace, options: Options
) -> NDArray[np.uint8]:
    """The class of the highest mean logit, (z, y, x) on the image's grid; 0 outside the non-zero region.

    Of more than two classes there is at most one float32 volume each. Raises as `predict`.
    """
    if network.classes == 2:
        return predict_mask(volume, network, space, options)
    if not streams(space.plans.resample_prediction):
        (logits,) = predict_classes(volume, network, options)
        return space.to_image(_highest(space.to_crop(channel) for channel in logits))
    labels = np.empty(space.cropped_shape, np.uint8)
    slabs = predict_classes(volume, network, options, slices_that_fit(network, space))
    for slice_, logits in zip(labels, _on_image_grid(slabs, space), strict=True):
        slice_[...] = logits.argmax(axis=0)
    return space.to_image(labels)


def _on_image_grid(
    slabs: Iterator[NDArray[np.float32]], space: NetworkSpace
) -> Iterator[NDArray[np.float32]]:
    """The slices (C, y, x) of the cropped image, from slabs (C, slices, y, x) of network space."""
    how = space.plans.resample_prediction
    orders = axis_orders(space.plans.spacing, space.image_spacing, how)
    return resample_slices(slabs, space.shape, space.cropped_shape, orders)


def _highest(volumes: Iterator[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Which of the volumes (z, y, x) is highest at each voxel, the first of equals."""
    highest = next(volumes).copy()
    labels = np.zeros(highest.shape, np.uint8)
    for label, volume in enumerate(volumes, start=1):
        labels[volume > highest] = label
        np.maximum(highest, volume, out=highest)
    return labels
