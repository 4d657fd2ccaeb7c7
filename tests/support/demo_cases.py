"""Phantoms that no demo's training has seen, and how well a demo does on them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.demo.phantom.phantom import make_phantom
from common.evaluation.metrics import compare
from common.inference.options import Options
from common.model.model import Model

UNSEEN = (1000, 1001, 1002)
MIDDLE = (240, 96, 64)
"""Without the arms' outer halves, in which no lesions lie: half the tiles and slices, half the time."""

Segment = Callable[[Case, Model, Options], NDArray[np.uint8]]


def mean_dice(segment: Segment, model: Model, *images: str) -> float:
    """Over the unseen patients, without inflamed foci, which look like lesions and are none."""
    return float(np.mean([_dice(seed, segment, model, images) for seed in UNSEEN]))


def _dice(seed: int, segment: Segment, model: Model, images: tuple[str, ...]) -> float:
    phantom = make_phantom(seed, MIDDLE, lesions=8, inflammations=0)
    voxels = {"ct": phantom.ct, "pet": phantom.pet}
    case = Case({name: voxels[name] for name in images}, phantom.geometry, "phantom")
    mask = segment(case, model, Options())
    return compare(phantom.truth != 0, mask != 0, phantom.geometry.voxel_volume_ml).dice
