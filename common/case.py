"""One case: its images on one grid, and its clicks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.geometry import Geometry

ClickName = Literal["tumor", "background"]


@dataclass(frozen=True)
class Click:
    """A point that a reader placed on the image."""

    point: tuple[float, float, float]
    """Voxel indices (x, y, z) on the reference image."""
    name: ClickName


@dataclass(frozen=True)
class Case:
    """What the platform hands over for one patient, checked and on the reference image's grid."""

    images: dict[str, NDArray[np.float32]]
    """The network's channel in lower case (`"pet"`, `"ct"`) → voxels (z, y, x), in SUV or HU."""
    geometry: Geometry
    """The reference image's grid, which the mask takes over."""
    stem: str
    """The file name, without its extension, that the mask takes over from one of the images."""
    clicks: tuple[Click, ...] = ()
