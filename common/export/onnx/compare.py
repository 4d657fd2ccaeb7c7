"""The difference between two engines' logits."""

import numpy as np
from numpy.typing import NDArray

from common.inference.network import Parity

TOLERANCE = 1e-4
"""Maximum RMS difference, as a fraction of the standard deviation of the logits.

Rounding in float32 gives about a sixth of it in the deepest network here. The maximum difference is not a
useful criterion: among the millions of voxels of a tile, a few always have a large rounding error.
"""
MIN_MARGIN = 10 * TOLERANCE
"""Rounding changes no class whose logit exceeds the next one by this fraction of the standard deviation."""

Logits = NDArray[np.float32]
"""(B, K, [Z,] Y, X)."""


def compare(expected: Logits, found: Logits) -> Parity:
    """Measure the difference between found and expected logits, both (B, K, [Z,] Y, X)."""
    deviation = float(expected.std())
    difference = found - expected
    rms = float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))
    changed = (expected.argmax(1) != found.argmax(1)) & (_margin(expected) > MIN_MARGIN * deviation)
    return Parity(
        max_difference=float(np.abs(difference).max()),
        standard_deviation=deviation,
        relative_rms_difference=rms / deviation if deviation else rms,  # constant logits have none
        changed_voxels=float(changed.mean()),
    )


def _margin(logits: Logits) -> Logits:
    """Return the difference between the two highest logits of each voxel, (B, [Z,] Y, X)."""
    highest = np.partition(logits, -2, axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])
