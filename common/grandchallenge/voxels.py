"""From the bytes of an image file to an array, noticing when there are too few or too many."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.documents import excerpt
from common.errors import InputError
from common.grandchallenge.itk import enough_memory_to

DEFLATE_LIMIT = 1032
"""No zlib stream holds more times its own length."""
MAX_LENGTH = 1e6
"""Of anything in an image's header, in mm: a kilometre."""


def read_voxels(
    path: Path,
    chunks: Iterable[bytes],
    stored: np.dtype[Any],
    shape: tuple[int, int, int],
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """The voxels (z, y, x) as `dtype`, from the file's bytes in pieces of any length.

    Only one array is held. Raises `InputError` when the volume is empty or a single slice, and when the bytes
    are not as many as its voxels take, before memory is asked for where the file is too small for them
    however well compressed; `MachineError` when memory runs out.
    """
    require_room(path, shape, stored)
    count = math.prod(shape)
    with enough_memory_to(f"read {path}"), np.errstate(over="ignore", invalid="ignore"):
        voxels = np.empty(count, dtype)
        seen = _fill(voxels, chunks, stored)
    if seen != count * stored.itemsize:
        raise damaged(path, f"{seen} bytes of voxels instead of {count * stored.itemsize}")
    return voxels.reshape(shape)


def require_room(path: Path, shape: tuple[int, int, int], stored: np.dtype[Any]) -> None:
    """Raise `InputError` for a volume (z, y, x) that is empty, a single slice, or too large for its file."""
    _check_shape(path, shape)
    if math.prod(shape) * stored.itemsize > path.stat().st_size * DEFLATE_LIMIT:
        raise damaged(path, f"it cannot hold its {_size(shape)} voxels")


def require_file(path: Path) -> None:
    """Raise `InputError` for a pipe or device, which might never end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: a pipe or device, expected a file; give the case its image")


def damaged(path: Path, found: str) -> InputError:
    """The error for a file that is not as its format wants it."""
    return InputError(f"{path}: damaged or cut short ({found}), expected a whole image; upload it again")


def _check_shape(path: Path, shape: tuple[int, int, int]) -> None:
    size = _size(shape)
    if min(shape) < 1:
        raise InputError(f"{path}: an empty volume of {size} voxels, expected a 3D image; export it again")
    if min(shape) == 1:
        raise InputError(f"{path}: one slice ({size} voxels), expected a 3D image; upload the whole series")


def _size(shape: tuple[int, int, int]) -> str:
    return " × ".join(map(excerpt, reversed(shape)))


def _fill(voxels: NDArray[Any], chunks: Iterable[bytes], stored: np.dtype[Any]) -> int:
    """Convert chunks into the flat `voxels`; returns the bytes seen, too many if they do not fit."""
    seen, start, rest = 0, 0, b""
    for chunk in chunks:
        seen += len(chunk)
        data = rest + chunk if rest else chunk
        values = np.frombuffer(data, stored, len(data) // stored.itemsize)
        if start + len(values) > len(voxels):
            break
        voxels[start : start + len(values)] = values
        start += len(values)
        rest = data[values.nbytes :]
    return seen
