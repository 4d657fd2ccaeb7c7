"""MetaImage files (`.mha`), read and written with every damage noticed.

SimpleITK is not used for it. It takes a damaged compressed file for a good one and returns whatever it had
decompressed, some damaged headers end the process, and it takes a small file that it could not write to the
end for written. Reading also holds one copy of the image here, two there. The fields are those of ITK's
`metaImage.cxx`; what SimpleITK never writes is refused.
"""

import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.documents import excerpt
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.voxels import damaged, read_voxels, require_file, require_room

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
MAX_LINE_BYTES = 4096
MAX_LINES = 1000
RAW_CHUNK = 1 << 20
COMPRESSED_CHUNK = 1 << 14
COMPRESSION = 2
"""zlib's level, as SimpleITK has it."""
HEADER_ROOM = 4096
"""Bytes that no header written here reaches."""


@dataclass(frozen=True)
class Header:
    """What a MetaImage file says of its voxels."""

    geometry: Geometry
    dtype: np.dtype[Any]
    compressed: bool


def read_header(path: Path) -> Header:
    """Read the header alone.

    Raises `InputError` when it is damaged, not of a 3D single-channel image, or of more voxels than the file
    can hold.
    """
    with _open(path) as file:
        header = _header(path, file)
    require_room(path, header.geometry.shape, header.dtype)
    return header


def read(path: Path, dtype: DTypeLike = np.float32) -> tuple[NDArray[Any], Geometry]:
    """Read the voxels (z, y, x) as `dtype`, and where they lie.

    Raises `InputError` when the file is cut short or damaged, or not of a 3D single-channel image;
    `MachineError` when memory runs out.
    """
    with _open(path) as file:
        header = _header(path, file)
        chunks = _inflate(file) if header.compressed else iter(lambda: file.read(RAW_CHUNK), b"")
        try:
            return read_voxels(path, chunks, header.dtype, header.geometry.shape, dtype), header.geometry
        except zlib.error as error:
            raise damaged(path, str(error)) from error


def write(path: Path, mask: NDArray[np.uint8], geometry: Geometry) -> None:
    """Write a mask (z, y, x), compressed, down to the disk; raises `OSError`."""
    stream = zlib.compressobj(level=COMPRESSION)
    pieces = [*map(stream.compress, np.ascontiguousarray(mask)), stream.flush()]
    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": sum(map(len, pieces)),
        "TransformMatrix": _join(np.reshape(geometry.direction, (3, 3)).T.ravel().tolist()),
        "Offset": _join(geometry.origin),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _join(geometry.spacing),
        "DimSize": _join(geometry.size),
        "ElementType": "MET_UCHAR",
        "ElementDataFile": "LOCAL",
    }
    with path.open("wb") as file:
        file.writelines(f"{key} = {value}\n".encode() for key, value in fields.items())
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def max_bytes(voxels: int) -> int:
    """Bytes that `write` takes at most: all voxels stored as they are, what zlib adds, and the header."""
    return voxels + voxels // 1000 + HEADER_ROOM


def _header(path: Path, file: BinaryIO) -> Header:
    """Read the header, and leave `file` where the voxels begin."""
    fields = _read_fields(path, file)
    return Header(
        geometry=_geometry(path, fields),
        dtype=_dtype(path, fields),
        compressed=_is_true(fields.get("CompressedData", "False")),
    )


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
    require_file(path)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _read_fields(path: Path, file: BinaryIO) -> Mapping[str, str]:
    """Read the header's lines, `Key = value`, up to the one after which the voxels lie."""
    fields: dict[str, str] = {}
    for _ in range(MAX_LINES):
        key, separator, value = file.readline(MAX_LINE_BYTES).decode("latin-1").partition("=")
        if not separator:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            if fields["ElementDataFile"] != "LOCAL":
                raise InputError(f"{path}: its voxels lie in another file; save the image as one .mha file")
            return fields
    raise damaged(path, "its header is not that of a MetaImage")


def _dtype(path: Path, fields: Mapping[str, str]) -> np.dtype[Any]:
    channels, name = fields.get("ElementNumberOfChannels", "1"), fields.get("ElementType")
    if channels != "1":
        raise InputError(f"{path}: {excerpt(channels)} channels, expected a 3D image of one channel")
    if name not in DTYPES or not _is_true(fields.get("BinaryData", "False")):
        raise InputError(
            f"{path}: voxels of type {excerpt(name)}, expected binary numbers; save it with SimpleITK"
        )
    big_endian = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    return np.dtype(DTYPES[name]).newbyteorder(">" if big_endian else "<")


def _geometry(path: Path, fields: Mapping[str, str]) -> Geometry:
    if fields.get("NDims") != "3":
        raise InputError(f"{path}: {excerpt(fields.get('NDims'))} dimensions, expected a 3D image")
    x, y, z = _triple(path, fields, "DimSize")
    if not (x.is_integer() and y.is_integer() and z.is_integer()):
        raise damaged(path, f"DimSize is {excerpt(fields['DimSize'])}")
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
        raise damaged(path, f"no numbers for {name}") from error
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise damaged(path, f"{name} is {excerpt(fields[name])}, not {count} numbers")
    return numbers


def _is_true(value: str) -> bool:
    return value[:1] in ("T", "t", "1")


def _join(values: Iterable[float]) -> str:
    return " ".join(map(str, values))
