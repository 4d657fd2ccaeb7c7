"""The mask as the platform takes it from `/output`."""

import os
import secrets
import tempfile
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge import metaimage
from common.grandchallenge.images import is_image
from common.memory import MIB
from common.signals import unfinished
from common.sizes import at_least, at_most

UNFINISHED = ".unfinished.mha"
"""Suffix of the hidden file that becomes the mask; its name is short, however long the mask's."""


def prepare_folder(directory: Path) -> None:
    """Make `directory` where it is missing, and remove what a killed run left in it.

    Raises `InputError` when no file can be made in it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f".*{UNFINISHED}"):
            leftover.unlink()
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise _unwritable(directory, error) from error


def check_destination(directory: Path, stem: str, geometry: Geometry) -> None:
    """Raise `InputError` when a mask of that name and size would not be taken into the prepared `directory`.

    Its name may be too long there, another image in its way, or the disk too full. An earlier file of the
    mask's own name is no obstacle: it is replaced.
    """
    target = directory / f"{stem}.mha"
    try:
        _check_name(target)
        _check_alone(target)
        _check_room(directory, geometry)
    except OSError as error:
        raise _unwritable(target, error) from error


def write_mask(mask: NDArray[np.uint8], geometry: Geometry, directory: Path, stem: str) -> Path:
    """Write the mask (z, y, x) as `<directory>/<stem>.mha`, compressed; either all of it is there or nothing.

    Raises `InputError` when the directory takes no file or has no room.
    """
    if mask.dtype != np.uint8 or mask.shape != geometry.shape:
        raise ValueError(f"a mask of {mask.dtype} {mask.shape}, expected uint8 {geometry.shape}")
    prepare_folder(directory)
    target = directory / f"{stem}.mha"
    try:
        with unfinished(directory / f".{secrets.token_hex(4)}{UNFINISHED}") as path:
            metaimage.write(path, mask, geometry)
            path.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    return target


def _check_name(target: Path) -> None:
    max_bytes, found = os.pathconf(target.parent, "PC_NAME_MAX"), len(os.fsencode(target.name))
    if 0 < max_bytes < found:
        raise InputError(
            f"{target}: a name of {found} bytes, the folder takes {max_bytes}; give the image that names "
            "the mask a shorter one"
        )


def _check_alone(target: Path) -> None:
    names = {path.name for path in target.parent.iterdir() if not path.name.startswith(".")}
    others = sorted(name for name in names - {target.name} if is_image(name))
    if target.is_dir():
        others.append(target.name)
    if others:
        raise InputError(
            f"{target.parent / others[0]}: is there already, expected a folder for {target.name} alone, as "
            "the platform takes exactly one image from it; empty the folder"
        )


def _check_room(directory: Path, geometry: Geometry) -> None:
    """As much as the mask takes where it does not get smaller by compression; quotas do not show here."""
    disk = os.statvfs(directory)
    needed, free = metaimage.max_bytes(prod(geometry.size)), disk.f_bavail * disk.f_frsize
    if needed > free and disk.f_blocks:
        raise InputError(
            f"{directory}: the mask needs up to {at_least(needed, MIB)} MiB, {at_most(free, MIB)} MiB are "
            "free; make room there, or give another folder"
        )


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: the mask cannot be written ({error.strerror}); give a folder with room and permission"
    )
