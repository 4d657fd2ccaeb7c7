"""PET in SUV and CT in HU from DICOM."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.dicom.series import Series, choose_series, find_series, require_known
from common.dicom.suv import suv_factor
from common.dicom.volume import Slice, geometry_of, slices_of, voxels_of
from common.errors import InputError
from common.geometry import Geometry

if TYPE_CHECKING:
    from pydicom import Dataset

IMAGES = {"pet": "PT", "ct": "CT"}
"""An image's name, and the modality of its series."""
HU = ("HU", "US", "")
"""What a CT's rescaled values may be called."""


@dataclass(frozen=True)
class DicomImage:
    """A series as a volume."""

    series: Series
    slices: tuple[Slice, ...]
    """Ordered as the volume's."""
    geometry: Geometry
    factor: float
    """From rescaled values to the volume's."""

    @property
    def headers(self) -> list["Dataset"]:
        """Of the slices' files, in order."""
        return [plane.instance.header for plane in self.slices]

    @property
    def is_enhanced(self) -> bool:
        """Whether one file has all slices as its frames."""
        return self.slices[0].frame is not None

    @property
    def frame_order(self) -> list[int]:
        """For each frame of an enhanced image, which slice it is."""
        frames = [plane.frame for plane in self.slices]
        return [frames.index(number) for number in range(len(frames))]

    def voxels(self) -> NDArray[np.float32]:
        """(z, y, x), in SUV or HU; raises `InputError` for pixels that cannot be decoded."""
        return voxels_of(self.slices, self.factor)


def find_images(folder: Path, uids: Sequence[str] = ()) -> dict[str, DicomImage]:
    """The PET, and the CT where there is one, of a folder of series; `uids` choose where there are several.

    Raises `InputError` where it is not clear which series is meant, or one is no volume in SUV or HU; the
    message says what is missing or wrong.
    """
    found = find_series(folder)
    require_known(found, uids, folder)
    chosen = {name: choose_series(found, modality, folder, uids) for name, modality in IMAGES.items()}
    if chosen["pet"] is None:
        listed = "; ".join(map(str, found)) or "none"
        raise InputError(f"{folder}: no series is a PET (modality PT); found {listed}")
    return {name: open_series(series) for name, series in chosen.items() if series}


def open_only_series(folder: Path) -> DicomImage:
    """The one series in a folder, of either modality; raises as `find_images`."""
    found = [series for series in find_series(folder) if series.modality in IMAGES.values()]
    if len(found) != 1:
        listed = "; ".join(map(str, found)) or "none"
        raise InputError(f"{folder}: {len(found)} series of PET or CT ({listed}), expected exactly one")
    return open_series(found[0])


def open_series(series: Series) -> DicomImage:
    """Check a series and find its place and unit; `InputError` names its first file and what is wrong."""
    slices = slices_of(series)
    headers = [instance.header for instance in series.instances]
    try:
        factor = suv_factor(headers) if series.modality == "PT" else _require_hu(slices)
    except InputError as error:
        raise InputError(f"{series.instances[0].path}: {error}") from error
    return DicomImage(series, tuple(slices), geometry_of(slices), factor)


def _require_hu(slices: Sequence[Slice]) -> float:
    kind = str(slices[0].instance.header.get("RescaleType") or "").upper()
    if kind not in HU:
        raise InputError(f"RescaleType is {kind!r}, expected HU; export the CT again")
    return 1.0
