"""L2SNet's rules for joining its three-dimensional segmentation with its localisation.

Cai et al. 2023, arXiv 2309.05446; the rules are those of `predict.py` of the published code, applied to all
components at once.
"""

import numpy as np
from numpy.typing import NDArray

from common.components import Components

HIGH = 0.9
LOW = 0.5
CUE = 0.5

MIN_HIGH_SIZE = 50
MIN_LOW_SIZE = 150
"""A case whose largest components are smaller than these two has no lesion."""

MIN_HIGH_VOXELS = 20
"""High voxels that make a component of the segmentation more than a point."""
MAX_RATIO = 2.25
"""A component larger than its high voxels times this shrinks to them."""

LIKELY = 0.10
"""A localised component with such a voxel is a lesion, whatever its size."""
UNLIKELY = 1e-5
"""A localised component without such a voxel is none."""
USUAL_LIMIT = 35
"""Voxels up to which a localised component without a likely voxel is dropped."""
MIN_SURPLUS = 3
"""With as many more components localised than segmented, the limit follows their sizes."""

Probability = NDArray[np.float32]


def fuse(segmentation: Probability, localisation: Probability) -> NDArray[np.uint8]:
    """Join the foreground probabilities (z, y, x) of both phases, on one grid, to a mask."""
    segmentation = np.ascontiguousarray(segmentation)
    high = segmentation > HIGH
    segmented = Components.of(segmentation > LOW)
    mask = np.zeros(segmentation.shape, bool)
    if segmented.largest < MIN_LOW_SIZE and Components.of(high).largest < MIN_HIGH_SIZE:
        return mask.view(np.uint8)
    cue = np.ascontiguousarray(localisation > CUE)
    _keep_segmented(mask, segmented, segmentation, high, cue)
    _add_localised(mask, Components.of(cue), segmentation, len(segmented))
    return mask.view(np.uint8)


def _keep_segmented(
    mask: NDArray[np.bool_],
    segmented: Components,
    segmentation: Probability,
    high: NDArray[np.bool_],
    cue: NDArray[np.bool_],
) -> None:
    """Keep each component of the segmentation whole, or its high voxels, or its highest ones."""
    values = segmentation.ravel()[segmented.voxels]
    is_high = high.ravel()[segmented.voxels]
    is_highest = values == segmented.peak(values)[segmented.labels]
    high_count = segmented.count(is_high)
    localised = segmented.count(cue.ravel()[segmented.voxels]) > 0
    point = (high_count < MIN_HIGH_VOXELS) | ~localised
    shrunk = segmented.sizes > MAX_RATIO * high_count
    choices = [point[segmented.labels], shrunk[segmented.labels]]
    mask.ravel()[segmented.voxels] = np.select(choices, [is_highest, is_high], True)


def _add_localised(
    mask: NDArray[np.bool_], localised: Components, segmentation: Probability, segmented_count: int
) -> None:
    """Add the highest voxels of the localised components that the mask misses and that may be lesions."""
    values = segmentation.ravel()[localised.voxels]
    kept = mask.ravel()[localised.voxels]
    peaks = localised.peak(values)
    large = (localised.sizes > _size_limit(localised.sizes, segmented_count)) & (peaks >= UNLIKELY)
    added = (localised.count(kept) == 0) & ((peaks > LIKELY) | large)
    is_highest = values == peaks[localised.labels]
    mask.ravel()[localised.voxels] = kept | (added[localised.labels] & is_highest)


def _size_limit(sizes: NDArray[np.intp], segmented_count: int) -> int:
    if len(sizes) < segmented_count + MIN_SURPLUS:
        return USUAL_LIMIT
    # The original's list of sizes starts with a zero for the background.
    return int(np.sort([0, *sizes])[-(segmented_count + MIN_SURPLUS + 1)])
