"""Phantoms as training cases."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from common.demo.patches import FixedSubject
from common.demo.phantom.phantom import Phantom, make_phantom
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess

LESIONS_PER_PHANTOM = 8
"""More than in most patients, so that every phantom has many examples."""
LESION_THRESHOLD = 0.5
"""A resampled voxel is labelled as lesion above this fraction of lesion."""


def phantoms_with_lesions(first_seed: int, count: int) -> Iterator[Phantom]:
    """Generate phantoms with many lesions and no inflammation, which no network can tell from a lesion."""
    for seed in range(first_seed, first_seed + count):
        yield make_phantom(seed, lesions=LESIONS_PER_PHANTOM, inflammations=0)


def in_network_space(phantom: Phantom, images: Sequence[NDArray[np.float32]], plans: Plans) -> FixedSubject:
    """Preprocess some of the phantom's images (z, y, x) and its ground truth as nnU-Net does.

    The images are copied, so that the phantom keeps its own.
    """
    channels, space = preprocess([image.copy() for image in images], phantom.geometry.spacing_zyx, plans)
    truth = space.from_image(phantom.truth.astype(np.float32), plans.resample_prediction)
    return FixedSubject(
        image=Volume(space.shape, [ArrayChannel(channel) for channel in channels]),
        truth=Volume(space.shape, [ArrayChannel(binary(truth))]),
        centres=[space.point(click.point) for click in phantom.focus_clicks],
    )


def binary(truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Threshold a resampled ground truth to zeros and ones."""
    return (truth > LESION_THRESHOLD).astype(np.float32)
