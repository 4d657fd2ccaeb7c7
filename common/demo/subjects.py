"""Phantoms as networks see them in training."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from common.demo.patches import FixedSubject
from common.demo.phantom.phantom import Phantom, make_phantom
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess

LESIONS = 8
"""More than most patients have, so that there is much to learn from each."""
LESION = 0.5
"""Share of a resampled voxel from which on it counts as lesion."""


def ill_phantoms(first_seed: int, count: int) -> Iterator[Phantom]:
    """Phantoms with many lesions, and without inflamed foci: these look the same and are none."""
    for seed in range(first_seed, first_seed + count):
        yield make_phantom(seed, lesions=LESIONS, inflammations=0)


def in_network_space(phantom: Phantom, images: Sequence[NDArray[np.float32]], plans: Plans) -> FixedSubject:
    """Some of the phantom's images (z, y, x) and its truth, as nnU-Net prepares them."""
    channels, space = preprocess([image.copy() for image in images], phantom.geometry.spacing_zyx, plans)
    truth = space.from_image(phantom.truth.astype(np.float32), plans.resample_prediction)
    return FixedSubject(
        image=Volume(space.shape, [ArrayChannel(channel) for channel in channels]),
        truth=Volume(space.shape, [ArrayChannel(binary(truth))]),
        places=[space.point(click.point) for click in phantom.focus_clicks],
    )


def binary(truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """A resampled truth as zeros and ones."""
    return (truth > LESION).astype(np.float32)
