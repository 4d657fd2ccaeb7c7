"""What the platform, and a challenge's evaluation, would refuse in a run's output.

The platform takes every file in `/output` with it, imports exactly one image from the socket's folder, and
keeps the values of single-channel 8-bit images only (`_create_images_result` in grand-challenge.org's
`components/backends/base.py`, `SimpleITKImage.segments` in panimg's `models.py`).
"""

from pathlib import Path

import numpy as np

from common.errors import InputError
from common.grandchallenge import metaimage
from common.grandchallenge.images import find_image, read_geometry
from common.grandchallenge.inputs_json import sockets_of_case
from common.grandchallenge.interface import Interface

HEADERS_AGREE_WITHIN = 1e-6


def check_output(input_dir: Path, output_dir: Path, interface: Interface) -> Path:
    """The mask that a run left in `output_dir`; raises `InputError` naming what would be refused."""
    path = find_image(output_dir / interface.mask.relative_path)
    if path.suffix.lower() != ".mha":
        raise InputError(f"{path}: not a format that the platform imports, expected .mha")
    _check_nothing_else(output_dir, path)
    dtype = metaimage.read_header(path).dtype
    if dtype != np.uint8:
        raise InputError(f"{path}: voxels of type {dtype}, expected uint8, which alone keeps labels")
    _check_grid(path, input_dir, interface)
    labels, _ = metaimage.read(path, np.uint8)
    highest = labels.max()
    if highest > 1:
        raise InputError(f"{path}: holds the label {highest}, expected 0 and 1 only")
    return path


def _check_nothing_else(output_dir: Path, mask: Path) -> None:
    surplus = sorted(path for path in output_dir.rglob("*") if path != mask and not path.is_dir())
    if surplus or mask.is_symlink():
        raise InputError(f"{(surplus or [mask])[0]}: not expected; only the mask's own file may be there")


def _check_grid(path: Path, input_dir: Path, interface: Interface) -> None:
    reference = next(socket for socket in sockets_of_case(input_dir, interface) if socket.reference)
    wanted = read_geometry(find_image(input_dir / reference.relative_path))
    found = read_geometry(path)
    for name in ("size", "spacing", "origin", "direction"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        if not np.allclose(ours, theirs, rtol=HEADERS_AGREE_WITHIN, atol=HEADERS_AGREE_WITHIN):
            raise InputError(f"{path}: {name} {ours}, expected that of the reference image, {theirs}")
