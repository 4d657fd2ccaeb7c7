"""One label per voxel, from a network of any number of classes."""

import logging
from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from common.inference.network import Network
from common.inference.options import Options
from common.inference.predict import predict, predict_classes
from common.inference.volume import Volume
from common.memory import MARGIN, available_memory
from common.nnunet.memory import FLOAT32
from common.nnunet.resample import Shape
from common.nnunet.slices import SLICES_HELD, axis_orders, resample_slices, streams
from common.nnunet.space import NetworkSpace

logger = logging.getLogger(__name__)


def predict_labels(
    volume: Volume, network: Network, space: NetworkSpace, options: Options
) -> NDArray[np.uint8]:
    """The class of the highest mean logit, (z, y, x) on the image's grid; 0 outside the non-zero region.

    As nnU-Net does, logits are brought to the image's grid before they are compared. Of more than two classes
    there is at most one float32 volume each, and less than that where the memory is short: then the sums of
    some rows of tiles are held at a time. Raises as `predict`.
    """
    if network.classes == 2:
        return space.mask(predict(volume, network, options), threshold=0)
    how = space.plans.resample_prediction
    if not streams(how):
        (logits,) = predict_classes(volume, network, options)
        return space.to_image(_highest(space.to_crop(channel) for channel in logits))
    labels = np.empty(space.cropped_shape, np.uint8)
    max_slices = slices_that_fit(volume.shape, network.classes, _memory_for_sums(network, space))
    slabs = predict_classes(volume, network, options, max_slices)
    orders = axis_orders(space.plans.spacing, space.image_spacing, how)
    slices = resample_slices(slabs, space.shape, space.cropped_shape, orders)
    for label, logits in zip(labels, slices, strict=True):
        label[...] = logits.argmax(axis=0)
    return space.to_image(labels)


def slices_that_fit(shape: Shape, classes: int, memory: int) -> int:
    """How many slices' sums take that many bytes."""
    return memory // (FLOAT32 * classes * prod(shape[1:]))


def _memory_for_sums(network: Network, space: NetworkSpace) -> int:
    """Bytes left for sums beside a tile's work, the labels on both grids, and some slices on their way."""
    labels = prod(space.cropped_shape) + prod(space.image_shape)
    slices = (
        FLOAT32 * SLICES_HELD * network.classes * max(prod(space.shape[1:]), prod(space.cropped_shape[1:]))
    )
    return available_memory() - MARGIN - network.host_tile_memory - labels - slices


def _highest(volumes: Iterator[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Which of the volumes (z, y, x) is highest at each voxel, the first of equals."""
    highest = next(volumes).copy()
    labels = np.zeros(highest.shape, np.uint8)
    for label, volume in enumerate(volumes, start=1):
        labels[volume > highest] = label
        np.maximum(highest, volume, out=highest)
    return labels
