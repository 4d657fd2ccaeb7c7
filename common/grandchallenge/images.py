"""One image of a case: found in its socket's folder, read, and refused when no network could use it.

An image is a file, or a folder that holds one DICOM series, as the platform's DICOM image sets are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.dicom.reading import open_only_series
from common.dicom.series import holds_dicom
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge import metaimage, nifti
from common.grandchallenge.voxels import MAX_LENGTH

SUFFIXES = (".mha", ".nii.gz")
"""Of an image's file name, in capital or small letters."""
MIN_SPACING = 1e-3
"""mm: a cell's size. What is below is no length of a patient, and overflows where it is divided by."""


@dataclass(frozen=True)
class Image:
    """Voxels in the patient."""

    voxels: NDArray[np.float32]
    """(z, y, x), finite, C-contiguous."""
    geometry: Geometry


def find_image(folder: Path) -> Path:
    """The one image in a socket's folder, which is the folder itself where that holds a DICOM series.

    Raises `InputError` when there is none, or more than one.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a folder with one .mha image") from error
    images = [name for name in names if is_image(name)]
    if not images and holds_dicom(folder):
        return folder
    if len(images) != 1:
        found = ", ".join(names[:3]) + (", …" if len(names) > 3 else "") or "nothing"
        raise InputError(f"{folder}: {len(images)} images (found {found}), expected exactly one .mha file")
    return folder / images[0]


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return name.lower().endswith(SUFFIXES)


def image_stem(path: Path) -> str:
    """An image's file name without its extension, or its folder's name."""
    if path.is_dir():
        return path.name
    suffix = next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    return path.name[: -len(suffix)]


def read_geometry(path: Path) -> Geometry:
    """Read where an image's voxels lie, and nothing else; raises `InputError` when that makes no sense."""
    if path.is_dir():
        geometry = open_only_series(path).geometry
    else:
        geometry = metaimage.read_header(path).geometry if _is_metaimage(path) else nifti.read_geometry(path)
    _check_geometry(path, geometry)
    return geometry


def read_image(path: Path) -> Image:
    """Read an image.

    Raises `InputError` when the file is damaged, or the image not three-dimensional, empty, a single slice,
    or not finite everywhere; `MachineError` when memory runs out.
    """
    if path.is_dir():
        series = open_only_series(path)
        voxels, geometry = series.voxels(), series.geometry
    else:
        voxels, geometry = metaimage.read(path) if _is_metaimage(path) else nifti.read(path)
    _check_geometry(path, geometry)
    if not np.isfinite((voxels.min(), voxels.max())).all():
        raise InputError(f"{path}: holds NaN or infinite voxels, expected numbers; export the image again")
    return Image(voxels, geometry)


def _is_metaimage(path: Path) -> bool:
    return path.suffix.lower() == ".mha"


def _check_geometry(path: Path, geometry: Geometry) -> None:
    lengths = np.abs((*geometry.spacing, *geometry.origin))
    if not (lengths <= MAX_LENGTH).all() or min(geometry.spacing) < MIN_SPACING:
        raise InputError(
            f"{path}: spacing {geometry.spacing}, origin {geometry.origin}, expected millimetres"
        )
    axes = np.reshape(geometry.direction, (3, 3))
    if np.abs(axes).max() > 2 or not np.allclose(axes @ axes.T, np.eye(3), atol=0.01):
        raise InputError(f"{path}: direction {geometry.direction}, expected three perpendicular unit vectors")
