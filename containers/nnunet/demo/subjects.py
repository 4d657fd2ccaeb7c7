"""Phantoms with their labels: lesions, and the physiological uptake of brain and bladder."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.demo.patches import FixedSubject
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom, draw_patient, make_phantom
from common.demo.phantom.sampling import Sampling
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess
from common.nnunet.resample import Shape, Spacing
from common.nnunet.space import NetworkSpace

LESION, UPTAKE = 1, 2
ORGANS = ("brain", "bladder")
MAX_LESIONS = 8
"""More than most patients have, so that there is much to learn from each."""


@dataclass(frozen=True)
class LabelledPhantom:
    """A phantom and its labels (z, y, x): 1 in lesions, 2 in brain and bladder."""

    phantom: Phantom
    labels: NDArray[np.uint8]


def labelled_phantoms(
    first_seed: int, count: int, shape: Shape = DEFAULT_SHAPE, spacing: Spacing = DEFAULT_SPACING
) -> Iterator[LabelledPhantom]:
    """Phantoms with many lesions and no inflammation, on grids of that shape and spacing (z, y, x; mm)."""
    for seed in range(first_seed, first_seed + count):
        phantom = make_phantom(seed, shape, spacing, lesions=MAX_LESIONS, inflammations=0)
        yield LabelledPhantom(phantom, _labels(phantom, seed, spacing))


def in_network_space(labelled: LabelledPhantom, plans: Plans) -> FixedSubject:
    """CT and PET as nnU-Net prepares them, with the labels on the same grid."""
    phantom = labelled.phantom
    images, space = preprocess([phantom.ct, phantom.pet], phantom.geometry.spacing_zyx, plans)
    return FixedSubject(
        image=Volume(space.shape, [ArrayChannel(image) for image in images]),
        truth=Volume(space.shape, [ArrayChannel(_resampled(labelled.labels, space))]),
        centres=[space.point(click.point) for click in phantom.focus_clicks],
    )


def _labels(phantom: Phantom, seed: int, spacing: Spacing) -> NDArray[np.uint8]:
    """The same patient as `make_phantom` draws, whose organs it does not hand out."""
    body_rng, _ = np.random.default_rng(seed).spawn(2)
    patient = draw_patient(body_rng, MAX_LESIONS, 0)
    sampling = Sampling(phantom.truth.shape, phantom.geometry.origin[::-1], spacing, patient.scale)
    labels = np.zeros(phantom.truth.shape, np.uint8)
    for organ in (tissue for tissue in patient.tissues if tissue.name in ORGANS):
        for box, distance in sampling.distances(organ.shape):
            labels[box][distance < 0] = UPTAKE
    labels[phantom.truth > 0] = LESION
    return labels


def _resampled(labels: NDArray[np.uint8], space: NetworkSpace) -> NDArray[np.float32]:
    """The label with the largest share of each voxel of the network's grid."""
    how = space.plans.resample_prediction
    shares = [space.from_image((labels == label).astype(np.float32), how) for label in (0, LESION, UPTAKE)]
    return np.argmax(shares, axis=0).astype(np.float32)
