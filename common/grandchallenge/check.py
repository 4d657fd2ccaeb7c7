"""What the platform, and a challenge's evaluation, would refuse in a run's output.

The platform takes every file in `/output` with it, imports exactly one image from the socket's folder, and
keeps the values of single-channel 8-bit images only (`_create_images_result` in grand-challenge.org's
`components/backends/base.py`, `SimpleITKImage.segments` in panimg's `models.py`).
"""

from pathlib import Path

import numpy as np

from common.errors import InputError
from common.grandchallenge import metaimage
from common.grandchallenge.images import find_image, image_stem, read_geometry
from common.grandchallenge.inputs_json import sockets_of_case
from common.grandchallenge.interface import Interface, Socket

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
    sockets = sockets_of_case(input_dir, interface)
    _check_grid(path, _image_of(input_dir, next(socket for socket in sockets if socket.reference)))
    _check_name(path, _image_of(input_dir, next(socket for socket in sockets if socket.names_mask)))
    labels, _ = metaimage.read(path, np.uint8)
    _check_labels(path, int(labels.max()), len(interface.mask.labels))
    return path


def _check_labels(path: Path, highest: int, allowed: int) -> None:
    if highest > allowed:
        expected = "0 and 1" if allowed == 1 else f"0 to {allowed}"
        raise InputError(f"{path}: holds the label {highest}, expected {expected} only")


def _check_nothing_else(output_dir: Path, mask: Path) -> None:
    surplus = sorted(path for path in output_dir.rglob("*") if path != mask and not path.is_dir())
    if surplus or mask.is_symlink():
        raise InputError(f"{(surplus or [mask])[0]}: not expected; only the mask's own file may be there")


def _image_of(input_dir: Path, socket: Socket) -> Path:
    return find_image(input_dir / socket.relative_path)


def _check_name(path: Path, namesake: Path) -> None:
    stem = image_stem(namesake)
    if path.stem != stem:
        raise InputError(f"{path}: expected the name {stem}.mha, after the image {namesake}")


def _check_grid(path: Path, reference: Path) -> None:
    wanted = read_geometry(reference)
    found = read_geometry(path)
    for name in ("size", "spacing", "origin", "direction"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        if not np.allclose(ours, theirs, rtol=HEADERS_AGREE_WITHIN, atol=HEADERS_AGREE_WITHIN):
            raise InputError(f"{path}: {name} {ours}, expected that of the reference image, {theirs}")
