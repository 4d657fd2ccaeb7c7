"""The lesions of a mask, measured on the PET.

Sources: SUVpeak, the mean in a sphere of 1 ml placed where it is highest, as in Wahl et al. 2009, "From
RECIST to PERCIST", J Nucl Med 50; the largest distance between lesions as in Cottereau et al. 2020, "18F-FDG
PET dissemination features in diffuse large B-cell lymphoma", J Nucl Med 61.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.signal import oaconvolve
from scipy.spatial.distance import cdist

from common.components import Components
from common.geometry import Geometry, triple

PEAK_RADIUS = (3 * 1000 / (4 * pi)) ** (1 / 3)
"""Of a sphere of 1 ml, in mm."""
SUBVOXELS = 5
"""Per axis, to find which part of a voxel lies in the sphere."""

Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Lesion:
    """One 18-connected component of a mask."""

    number: int
    """From 1, the largest first."""
    volume: float
    """ml."""
    suv_max: float
    suv_peak: float
    """Highest mean SUV in a sphere of 1 ml around any of the lesion's voxels."""
    suv_mean: float
    tlg: float
    """Total lesion glycolysis: SUVmean times volume, in ml."""
    centroid: tuple[float, float, float]
    """(x, y, z) in mm, in the image's physical space."""
    extent: tuple[float, float, float]
    """Edges of the box around it along the image's axes (x, y, z), in mm."""
    window: Window
    """That box in voxels, (z, y, x)."""


@dataclass(frozen=True)
class Totals:
    """All lesions of a mask."""

    lesions: int
    volume: float
    """Metabolic tumour volume (MTV), in ml."""
    tlg: float
    """ml."""
    suv_max: float
    """0 where there is no lesion."""
    largest_distance: float
    """Between the centroids of the two lesions that are farthest apart (Dmax), in mm."""


def lesions_of(
    mask: NDArray[np.bool_], pet: NDArray[np.float32], geometry: Geometry
) -> tuple[list[Lesion], NDArray[np.int32]]:
    """The lesions of a mask on the PET's grid, the largest first, and a map of their numbers.

    `mask` and `pet` (SUV) are (z, y, x), as is the map, which is 0 outside lesions.
    """
    components = Components.of(mask)
    order = np.argsort(-components.sizes, kind="stable")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(1, len(order) + 1)
    numbers = np.zeros(mask.shape, np.int32)
    numbers.ravel()[components.voxels] = ranks[components.labels]
    sphere = _sphere(geometry.spacing_zyx)
    return [
        _measure(number, window, numbers, pet, geometry, sphere)
        for number, window in enumerate(find_objects(numbers), start=1)
    ], numbers


def totals_of(lesions: Sequence[Lesion]) -> Totals:
    """Sum up the lesions."""
    centroids = np.array([lesion.centroid for lesion in lesions])
    return Totals(
        lesions=len(lesions),
        volume=sum(lesion.volume for lesion in lesions),
        tlg=sum(lesion.tlg for lesion in lesions),
        suv_max=max((lesion.suv_max for lesion in lesions), default=0.0),
        largest_distance=max((float(cdist([point], centroids).max()) for point in centroids), default=0.0),
    )


def _measure(
    number: int,
    window: Window,
    numbers: NDArray[np.int32],
    pet: NDArray[np.float32],
    geometry: Geometry,
    sphere: NDArray[np.float32],
) -> Lesion:
    inside = numbers[window] == number
    values = pet[window][inside].astype(np.float64)
    volume = values.size * geometry.voxel_volume_ml
    corner = np.array([part.start for part in window])
    centre = corner + np.argwhere(inside).mean(axis=0)
    direction = np.reshape(geometry.direction, (3, 3))
    centroid = np.array(geometry.origin) + direction @ (centre[::-1] * geometry.spacing)
    size = [part.stop - part.start for part in window][::-1]
    return Lesion(
        number=number,
        volume=volume,
        suv_max=float(values.max()),
        suv_peak=_peak(inside, window, pet, sphere),
        suv_mean=float(values.mean()),
        tlg=float(values.mean()) * volume,
        centroid=triple(centroid.tolist()),
        extent=triple(voxels * edge for voxels, edge in zip(size, geometry.spacing, strict=True)),
        window=window,
    )


def _peak(
    inside: NDArray[np.bool_], window: Window, pet: NDArray[np.float32], sphere: NDArray[np.float32]
) -> float:
    """The highest mean in the sphere around one of the lesion's voxels; what is in the image counts."""
    reach = [size // 2 for size in sphere.shape]
    ends = list(zip(window, reach, pet.shape, strict=True))
    around = tuple(slice(max(0, part.start - far), min(size, part.stop + far)) for part, far, size in ends)
    missing = [
        (far - part.start + there.start, far - there.stop + part.stop)
        for (part, far, _), there in zip(ends, around, strict=True)
    ]
    values = np.pad(pet[around].astype(np.float64), missing)
    weights = np.pad(np.ones([part.stop - part.start for part in around]), missing)
    means = oaconvolve(values, sphere, "valid") / oaconvolve(weights, sphere, "valid")
    return float(means[inside].max())


def _sphere(spacing: tuple[float, float, float]) -> NDArray[np.float32]:
    """Which part of each voxel (z, y, x) is in a sphere of 1 ml around the middle one's centre."""
    offsets = []
    for edge in spacing:
        reach = ceil(PEAK_RADIUS / edge - 0.5)
        count = (2 * reach + 1) * SUBVOXELS
        offsets.append((np.arange(count) - (count - 1) / 2) * edge / SUBVOXELS)
    z, y, x = np.meshgrid(*offsets, indexing="ij", sparse=True)
    inside = z * z + y * y + x * x <= PEAK_RADIUS**2
    split = [part for size in inside.shape for part in (size // SUBVOXELS, SUBVOXELS)]
    return inside.reshape(split).mean(axis=(1, 3, 5)).astype(np.float32)
