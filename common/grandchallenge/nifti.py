"""Compressed NIfTI files (`.nii.gz`), which the platform never hands over; for use outside of it."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.errors import InputError
from common.grandchallenge.geometry import Geometry
from common.grandchallenge.itk import enough_memory_to

CHUNK = 1 << 20


def read_geometry(path: Path) -> Geometry:
    """Read the header alone; raises `InputError` when it is damaged or not of a 3D single-channel image."""
    reader = _open(path)
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def read_voxels(path: Path) -> NDArray[np.float32]:
    """Read the voxels (z, y, x); raises `InputError` when the file is cut short or damaged."""
    _verify_checksum(path)
    reader = _open(path)
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    try:
        with enough_memory_to(f"read {path}"):
            voxels: NDArray[np.float32] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise InputError(f"{path}: not an image that SimpleITK reads; export it again") from error
    return voxels


def _open(path: Path) -> Any:
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NiftiImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path}: its header is not that of a NIfTI image; upload it again") from error
    dimensions, channels = reader.GetDimension(), reader.GetNumberOfComponents()
    if dimensions != 3 or channels != 1:
        raise InputError(
            f"{path}: {dimensions}D with {channels} channels, expected a 3D image of one channel"
        )
    return reader


def _verify_checksum(path: Path) -> None:
    """Decompress without keeping anything: SimpleITK takes a file that was cut short for a whole one."""
    try:
        with gzip.open(path) as file:
            while file.read(CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged or cut short ({error}); upload it again") from error
