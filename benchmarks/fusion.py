"""L2SNet's fusion at 326×400×400 with 300 components, and the same rules one component after the other.

python benchmarks/fusion.py
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.clinical import SHAPE
from benchmarks.paired import main
from containers.l2snet import fusion

BALLS = 450
"""Of which each map has 300."""
RADII = (2, 9)
BOX = np.mgrid[-10:11, -10:11, -10:11]
NEIGHBOURS = ndimage.generate_binary_structure(3, 2)

Mask = NDArray[np.uint8]
Volume = NDArray[np.float32]


def probabilities() -> tuple[Volume, Volume]:
    """Balls on a lattice that keeps them apart: two thirds in both maps, the others in one of them."""
    rng = np.random.default_rng(0)
    lattice = np.indices([size // 40 for size in SHAPE]).reshape(3, -1).T * 40 + 20
    segmentation, localisation = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for number, place in enumerate(rng.permutation(lattice)[:BALLS]):
        box = tuple(slice(middle - 10, middle + 11) for middle in place)
        distance = np.sqrt((BOX**2).sum(0)) / rng.uniform(*RADII)
        ball = np.clip(1.4 - 0.9 * distance, 0, rng.uniform(0.6, 1)).astype(np.float32)
        if number % 3 != 1:
            segmentation[box] = ball
        if number % 3 != 2:
            localisation[box] = ball
    return segmentation, localisation


def ours() -> Callable[[], Mask]:
    maps = probabilities()
    return lambda: fusion.fuse(*maps)


def one_by_one() -> Callable[[], Mask]:
    """The original's way: every component compared with the whole volume."""
    maps = probabilities()
    return lambda: fuse_one_by_one(*maps)


def fuse_one_by_one(segmentation: Volume, localisation: Volume) -> Mask:
    high, cue = segmentation > fusion.HIGH_THRESHOLD, localisation > fusion.CUE_THRESHOLD
    largest_high = max(sizes(high), default=0)
    segmented, count = ndimage.label(segmentation > fusion.LOW_THRESHOLD, NEIGHBOURS)
    segmented_sizes = [int((segmented == label).sum()) for label in range(1, count + 1)]
    result = np.zeros(segmentation.shape, bool)
    if largest_high < fusion.MIN_HIGH_SIZE and max(segmented_sizes, default=0) < fusion.MIN_LOW_SIZE:
        return result.view(np.uint8)
    for label, size in enumerate(segmented_sizes, start=1):
        component = segmented == label
        high_voxels = int((component & high).sum())
        if high_voxels < fusion.MIN_HIGH_VOXELS or not (component & cue).any():
            result |= component & (segmentation == segmentation[component].max())
        elif size > fusion.MAX_RATIO * high_voxels:
            result |= component & high
        else:
            result |= component
    cue_sizes, limit = sizes(cue), fusion.DEFAULT_SIZE_LIMIT
    if len(cue_sizes) >= count + fusion.MIN_SURPLUS:
        limit = sorted([0, *cue_sizes])[-(count + fusion.MIN_SURPLUS + 1)]
    localised, _ = ndimage.label(cue, NEIGHBOURS)
    for label, size in enumerate(cue_sizes, start=1):
        component = localised == label
        if (component & result).any():
            continue
        peak = segmentation[component].max()
        if peak > fusion.LIKELY_THRESHOLD or (size > limit and peak >= fusion.UNLIKELY_THRESHOLD):
            result |= component & (segmentation == peak)
    return result.view(np.uint8)


def sizes(mask: NDArray[np.bool_]) -> list[int]:
    labels, count = ndimage.label(mask, NEIGHBOURS)
    return [int((labels == label).sum()) for label in range(1, count + 1)]


if __name__ == "__main__":
    main(__doc__, {"one by one": one_by_one, "petct": ours}, baseline="one by one", runs=1)
