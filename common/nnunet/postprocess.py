"""nnU-Net v1's postprocessing: the smaller components are removed where that helped in cross-validation.

Source: nnunet/postprocessing/connected_components.py (nnU-Net 1.7.1).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import ModelError
from common.geometry import Geometry

_CLASSES: tuple[object, ...] = ([], [1], [[1]])
_SMALLEST = re.compile(r"None|\{\}|\{(?:1|\(1,\)): ([0-9.e+-]+)\}")


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Postprocessing:
    """What is done to the mask at the end."""

    keep_largest: KeepLargest | None

    def apply(self, mask: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
        """The mask (z, y, x) on an image's grid, after it."""
        if self.keep_largest is None:
            return mask
        return self.keep_largest.apply(mask, 1000 * geometry.voxel_volume_ml)


def read_postprocessing(folder: Path) -> Postprocessing:
    """Read what `postprocessing.json` in a trained folder asks for, for networks of one foreground class.

    The file is there only after a cross-validation. Raises `ModelError` for one that is not understood.
    """
    path = folder / "postprocessing.json"
    if not path.exists():
        return Postprocessing(keep_largest=None)
    try:
        document = json.loads(path.read_bytes())
        classes, smallest = document["for_which_classes"], document.get("min_valid_object_sizes", "None")
        parsed = _SMALLEST.fullmatch(smallest)
        if classes not in _CLASSES or parsed is None:
            raise ValueError(f"found for_which_classes {classes!r} and min_valid_object_sizes {smallest!r}")
        keep_largest = KeepLargest(float(parsed[1]) if parsed[1] else None) if classes else None
        return Postprocessing(keep_largest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: {error}; expected nnU-Net v1's postprocessing of one foreground class; copy the file "
            "again or remove it"
        ) from error
