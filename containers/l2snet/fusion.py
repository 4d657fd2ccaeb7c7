"""L2SNet's rules for the fusion of its 3D segmentation with its 2D localisation.

Source: Cai et al. 2023, arXiv 2309.05446, and `predict.py` of the published code; here the rules are applied
to all components at once. Thresholds are probabilities, sizes are in voxels.
"""

import numpy as np
from numpy.typing import NDArray

from common.components import Components

HIGH_THRESHOLD = 0.9
"""Voxels with a higher segmentation probability are called high."""
LOW_THRESHOLD = 0.5
"""Voxels with a higher segmentation probability form the segmented components."""
CUE_THRESHOLD = 0.5
"""Voxels with a higher localisation probability form the localised components."""

MIN_HIGH_SIZE = 50
MIN_LOW_SIZE = 150
"""The mask is empty if the largest components above both thresholds are smaller than these sizes."""

MIN_HIGH_VOXELS = 20
"""A segmented component with fewer high voxels, or one that is not localised, is reduced to its maximum."""
MAX_RATIO = 2.25
"""A segmented component larger than this times its number of high voxels is reduced to them."""

LIKELY_THRESHOLD = 0.10
"""A localised component with a higher segmentation probability is a lesion of any size."""
UNLIKELY_THRESHOLD = 1e-5
"""A localised component without a segmentation probability of at least this is no lesion."""
DEFAULT_SIZE_LIMIT = 35
"""A localised component between both thresholds is a lesion if it is larger than this."""
MIN_SURPLUS = 3
"""With at least so many more localised than segmented components, the limit is derived from their sizes."""

Probability = NDArray[np.float32]


def fuse(segmentation: Probability, localisation: Probability) -> NDArray[np.uint8]:
    """Fuse the lesion probabilities (z, y, x) of both phases, on one grid, to a mask (z, y, x)."""
    segmentation = np.ascontiguousarray(segmentation)
    high = segmentation > HIGH_THRESHOLD
    segmented = Components.of(segmentation > LOW_THRESHOLD)
    mask = np.zeros(segmentation.shape, bool)
    if segmented.largest < MIN_LOW_SIZE and Components.of(high).largest < MIN_HIGH_SIZE:
        return mask.view(np.uint8)
    cue = np.ascontiguousarray(localisation > CUE_THRESHOLD)
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
    """Add each segmented component to the mask: completely, its high voxels, or its maximum."""
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
    """Add the maxima of localised components that the mask does not overlap and that are lesions."""
    values = segmentation.ravel()[localised.voxels]
    kept = mask.ravel()[localised.voxels]
    peaks = localised.peak(values)
    large = (localised.sizes > _size_limit(localised.sizes, segmented_count)) & (peaks >= UNLIKELY_THRESHOLD)
    added = (localised.count(kept) == 0) & ((peaks > LIKELY_THRESHOLD) | large)
    is_highest = values == peaks[localised.labels]
    mask.ravel()[localised.voxels] = kept | (added[localised.labels] & is_highest)


def _size_limit(sizes: NDArray[np.intp], segmented_count: int) -> int:
    if len(sizes) < segmented_count + MIN_SURPLUS:
        return DEFAULT_SIZE_LIMIT
    # The original's list of sizes starts with a zero for the background.
    return int(np.sort([0, *sizes])[-(segmented_count + MIN_SURPLUS + 1)])
