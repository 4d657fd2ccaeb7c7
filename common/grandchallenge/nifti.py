"""Compressed NIfTI files (`.nii.gz`), which the platform never hands over; for use outside of it.

SimpleITK tells where the voxels lie. It does not read them: it takes what is left of a file that was cut
short, and puts zeros where a voxel is not a number. The header's fields are those of `nifti1.h`.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.voxels import MAX_LENGTH, damaged, read_voxels, require_file, require_room

DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
HEADER_SIZE = 348
MAX_OFFSET = 1 << 24
CHUNK = 1 << 20


@dataclass(frozen=True)
class _Header:
    """What is read here of a file's header."""

    shape: tuple[int, int, int]
    """(z, y, x)."""
    dtype: np.dtype[Any]
    offset: float
    """Of the first voxel, in bytes."""
    slope: float
    intercept: float


def read(path: Path) -> tuple[NDArray[np.float32], Geometry]:
    """Read the voxels (z, y, x), and where they lie.

    Raises `InputError` when the file is cut short or damaged, or not of a 3D single-channel image;
    `MachineError` when memory runs out.
    """
    with _open(path) as file:
        header = _read_header(path, file)
        voxels = _read_voxels(path, file, header)
    return voxels, read_geometry(path)


def read_geometry(path: Path) -> Geometry:
    """Read the header alone; raises `InputError` when it is damaged or not of a 3D single-channel image."""
    with _open(path) as file:
        header = _read_header(path, file)
    require_room(path, header.shape, header.dtype)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NiftiImageIO")
    with _small_letters(path) as readable:
        reader.SetFileName(str(readable))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise damaged(path, "SimpleITK cannot read its header") from error
    dimensions, channels = reader.GetDimension(), reader.GetNumberOfComponents()
    if dimensions != 3 or channels != 1 or reader.GetSize() != header.shape[::-1]:
        raise InputError(f"{path}: {dimensions}D, {channels} channels; expected a 3D image of one channel")
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


@contextmanager
def _open(path: Path) -> Iterator[gzip.GzipFile]:
    require_file(path)
    try:
        with gzip.open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error


@contextmanager
def _small_letters(path: Path) -> Iterator[Path]:
    """The file under an extension in small letters: ITK refuses mixed ones, such as `.Nii.Gz`."""
    if path.name.endswith(".nii.gz"):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / "image.nii.gz"
        link.symlink_to(path.absolute())
        yield link


def _read_header(path: Path, file: gzip.GzipFile) -> _Header:
    header = file.read(HEADER_SIZE)
    if len(header) < HEADER_SIZE:
        raise damaged(path, "no room for a NIfTI header")
    order = "<" if struct.unpack_from("<i", header)[0] == HEADER_SIZE else ">"

    def field(kind: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + kind, header, offset)

    dimensions, x, y, z = field("4h", 40)
    (datatype,) = field("h", 70)
    offset, slope, intercept = field("3f", 108)
    if dimensions != 3 or datatype not in DTYPES:
        raise InputError(f"{path}: {dimensions}D, voxels of type {datatype}; expected a 3D image of numbers")
    if not HEADER_SIZE <= offset <= MAX_OFFSET:
        raise damaged(path, f"voxels from byte {offset} on")
    for where, numbers in {"spacing": field("4f", 76), "position": field("18f", 256)}.items():
        # SimpleITK's libraries write to stderr about what they cannot invert.
        if not all(abs(number) <= MAX_LENGTH for number in numbers):
            raise damaged(path, f"{where} {numbers}")
    return _Header((z, y, x), np.dtype(order + DTYPES[datatype]), offset, slope, intercept)


def _read_voxels(path: Path, file: gzip.GzipFile, header: _Header) -> NDArray[np.float32]:
    file.seek(int(header.offset))
    voxels = read_voxels(path, iter(lambda: file.read(CHUNK), b""), header.dtype, header.shape)
    if math.isfinite(header.slope) and header.slope != 0:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused with the image
            voxels *= header.slope
            voxels += header.intercept
    return voxels
