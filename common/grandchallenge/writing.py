"""The mask as the platform takes it from `/output`."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from common.grandchallenge import metaimage
from common.grandchallenge.geometry import Geometry


def check_writable(directory: Path) -> None:
    """Make `directory` where it is missing, and raise `InputError` when no file can be made in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise _unwritable(directory, error) from error


def write_mask(mask: NDArray[np.uint8], geometry: Geometry, directory: Path, stem: str) -> Path:
    """Write the mask (z, y, x) as `<directory>/<stem>.mha`, compressed; either all of it is there or nothing.

    Raises `InputError` when the directory takes no file or has no room.
    """
    if mask.dtype != np.uint8 or mask.shape != geometry.shape:
        raise ValueError(f"a mask of {mask.dtype} {mask.shape}, expected uint8 {geometry.shape}")
    check_writable(directory)
    target = directory / f"{stem}.mha"
    unfinished = directory / f".{stem}.unfinished.mha"
    try:
        metaimage.write(unfinished, mask, geometry)
        unfinished.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: the mask cannot be written ({error.strerror}); give a folder with room and permission"
    )
