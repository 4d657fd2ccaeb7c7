"""nnU-Net v1's postprocessing: the smaller components are removed where that helped in cross-validation.

Source: nnunet/postprocessing/connected_components.py (nnU-Net 1.7.1).
"""

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from scipy import ndimage

from common.documents import STRICT
from common.geometry import Geometry


@dataclass(frozen=True, config=STRICT)
class KeepLargest:
    """All components go but the largest."""

    unless_mm3: float | None = None
    """Components of at least that size stay too."""

    def apply(self, mask: NDArray[np.uint8], voxel_mm3: float) -> NDArray[np.uint8]:
        """The mask (z, y, x) without them; voxels belong together that share a face."""
        labels, _ = ndimage.label(mask)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        kept = sizes == sizes.max()
        if self.unless_mm3 is not None:
            kept |= sizes * voxel_mm3 >= self.unless_mm3
        kept[0] = False
        return kept[labels].astype(np.uint8)


@dataclass(frozen=True, config=STRICT)
class Postprocessing:
    """What is done to the mask at the end."""

    keep_largest: KeepLargest | None

    def apply(self, mask: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
        """The mask (z, y, x) on an image's grid, after it."""
        if self.keep_largest is None:
            return mask
        return self.keep_largest.apply(mask, 1000 * geometry.voxel_volume_ml)
