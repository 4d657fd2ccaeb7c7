"""MetaImage files (`.mha`), read straight into float32, with every damage noticed.

SimpleITK is not used for it: it takes a damaged compressed file for a good one and returns whatever it had
decompressed, and some damaged headers end the process. This reader also holds one copy of the image where
SimpleITK holds two. The fields are those of ITK's `metaImage.cxx`; what SimpleITK never writes is refused.
"""

import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.errors import InputError
from common.grandchallenge.geometry import Geometry
from common.grandchallenge.itk import enough_memory_to

DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
LONGEST_LINE = 4096
MOST_LINES = 1000
RAW_CHUNK = 1 << 20
COMPRESSED_CHUNK = 1 << 14
DEFLATE_LIMIT = 1032
"""No zlib stream is more times smaller than what it holds."""


@dataclass(frozen=True)
class Header:
    """What a MetaImage file says of its voxels."""

    geometry: Geometry
    dtype: np.dtype[Any]
    compressed: bool
    offset: int
    """Bytes before the voxels."""


def read_header(path: Path) -> Header:
    """Read the header alone; raises `InputError` when it is damaged or not of a 3D single-channel image."""
    with _open(path) as file:
        fields = _read_fields(path, file)
        return Header(
            geometry=_geometry(path, fields),
            dtype=_dtype(path, fields),
            compressed=_is_true(fields.get("CompressedData", "False")),
            offset=file.tell(),
        )


def read_voxels(path: Path, header: Header, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Read the voxels (z, y, x) as `dtype`; raises `InputError` when the file is cut short or damaged."""
    count = math.prod(header.geometry.size)
    expected = count * header.dtype.itemsize
    with _open(path) as file, enough_memory_to(f"read {path}"):
        stored = os.fstat(file.fileno()).st_size - header.offset
        if expected > stored * (DEFLATE_LIMIT if header.compressed else 1):
            raise _damaged(path, f"{stored} bytes cannot hold its {count} voxels")
        file.seek(header.offset)
        chunks = _inflate(file) if header.compressed else iter(lambda: file.read(RAW_CHUNK), b"")
        voxels = np.empty(count, dtype)
        try:
            filled = _fill(voxels, chunks, header.dtype)
        except zlib.error as error:
            raise _damaged(path, str(error)) from error
    if filled != expected:
        raise _damaged(path, f"{filled} bytes of voxels instead of {expected}")
    return voxels.reshape(header.geometry.shape)


def _fill(voxels: NDArray[Any], chunks: Iterator[bytes], dtype: np.dtype[Any]) -> int:
    """Convert chunks into the flat `voxels`; returns the bytes seen, too many if they do not fit."""
    seen, start, rest = 0, 0, b""
    for chunk in chunks:
        seen += len(chunk)
        data = rest + chunk if rest else chunk
        values = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
        if start + len(values) > len(voxels):
            break
        with np.errstate(over="ignore", invalid="ignore"):
            voxels[start : start + len(values)] = values
        start += len(values)
        rest = data[values.nbytes :]
    return seen


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    """Decompress up to the stream's end, where zlib compares the checksum; raises `zlib.error`."""
    stream = zlib.decompressobj()
    while not stream.eof:
        chunk = file.read(COMPRESSED_CHUNK)
        if not chunk:
            raise zlib.error("the compressed voxels end too early")
        yield stream.decompress(chunk)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _read_fields(path: Path, file: BinaryIO) -> Mapping[str, str]:
    """Read the header's lines, `Key = value`, up to the one after which the voxels lie."""
    fields: dict[str, str] = {}
    for _ in range(MOST_LINES):
        key, separator, value = file.readline(LONGEST_LINE).decode("latin-1").partition("=")
        if not separator:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            if fields["ElementDataFile"] != "LOCAL":
                raise InputError(f"{path}: its voxels lie in another file; save the image as one .mha file")
            return fields
    raise _damaged(path, "its header is not that of a MetaImage")


def _dtype(path: Path, fields: Mapping[str, str]) -> np.dtype[Any]:
    channels, name = fields.get("ElementNumberOfChannels", "1"), fields.get("ElementType")
    if channels != "1":
        raise InputError(f"{path}: {channels} channels, expected a 3D image of one channel")
    if name not in DTYPES or not _is_true(fields.get("BinaryData", "False")):
        raise InputError(f"{path}: voxels of type {name!r}, expected binary numbers; save it with SimpleITK")
    big_endian = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    return np.dtype(DTYPES[name]).newbyteorder(">" if big_endian else "<")


def _geometry(path: Path, fields: Mapping[str, str]) -> Geometry:
    if fields.get("NDims") != "3":
        raise InputError(f"{path}: {fields.get('NDims', 'unknown')} dimensions, expected a 3D image")
    x, y, z = _triple(path, fields, "DimSize")
    if not (x.is_integer() and y.is_integer() and z.is_integer()):
        raise _damaged(path, f"DimSize is {fields['DimSize']!r}")
    axes = np.reshape(_numbers(path, fields, "TransformMatrix", 9), (3, 3))
    return Geometry(
        size=(int(x), int(y), int(z)),
        spacing=_triple(path, fields, "ElementSpacing"),
        origin=_triple(path, fields, "Offset"),
        direction=tuple(axes.T.ravel().tolist()),
    )


def _triple(path: Path, fields: Mapping[str, str], name: str) -> tuple[float, float, float]:
    x, y, z = _numbers(path, fields, name, 3)
    return x, y, z


def _numbers(path: Path, fields: Mapping[str, str], name: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, fields[name].split()))
    except (KeyError, ValueError) as error:
        raise _damaged(path, f"no numbers for {name}") from error
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise _damaged(path, f"{name} is {fields[name]!r}, not {count} numbers")
    return numbers


def _is_true(value: str) -> bool:
    return value[:1] in ("T", "t", "1")


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"{path}: damaged or cut short ({found}); expected a whole .mha image, upload it again")
