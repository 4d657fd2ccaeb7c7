"""nnU-Net v1's postprocessing: only the largest component is kept if that helped in cross-validation.

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
    """Remove all connected components except the largest."""

    unless_mm3: float | None = None
    """Components of at least this volume in mm³ are kept, too."""

    def apply(self, mask: NDArray[np.uint8], voxel_mm3: float) -> NDArray[np.uint8]:
        """Return the mask (z, y, x) with the kept components; components are 6-connected (common faces)."""
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
    """Postprocessing of the mask; `None` changes nothing."""

    keep_largest: KeepLargest | None

    def apply(self, mask: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
        """Return the processed mask (z, y, x) on the image's grid."""
        if self.keep_largest is None:
            return mask
        return self.keep_largest.apply(mask, 1000 * geometry.voxel_volume_ml)
