"""Phantoms as files, in the layout of an algorithm's input on the platform."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.demo.phantom.phantom import Phantom
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.clicks import document_of
from common.grandchallenge.interface import Socket

SOCKETS = (
    Socket("ct", "image", "images/ct"),
    Socket("pet", "image", "images/pet"),
    Socket("lesion-clicks", "multiple-points", "lesion-clicks.json"),
)
"""What a case has that is made for no algorithm in particular."""


def write_phantom(
    phantom: Phantom, input_dir: Path, truth_path: Path, sockets: Sequence[Socket] = SOCKETS
) -> None:
    """Write images, clicks and `inputs.json` below `input_dir`, and the ground truth to `truth_path`.

    Each image of `sockets` is the CT where that is its name, else the PET. All images have the file name of
    `truth_path`, an `.mha` file. Raises `InputError` for folders that cannot be written.
    """
    try:
        _write(phantom, input_dir, truth_path, sockets)
    except (OSError, RuntimeError) as error:  # the latter is SimpleITK's
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{input_dir.parent}: the phantom cannot be written ({reason}); give a folder with room and "
            "permission"
        ) from error


def _write(phantom: Phantom, input_dir: Path, truth_path: Path, sockets: Sequence[Socket]) -> None:
    name = f"{truth_path.stem}.mha"
    for socket in sockets:
        path = input_dir / socket.relative_path
        if socket.kind == "multiple-points":
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_json(document_of(phantom.clicks), path)
        else:
            image = phantom.ct.astype(np.int16) if socket.image_name == "ct" else phantom.pet
            _write_image(image, phantom.geometry, path / name)
    _write_image(phantom.truth, phantom.geometry, truth_path)
    _write_json([_input(socket, name) for socket in sockets], input_dir / "inputs.json")


def _write_image(volume: NDArray[Any], geometry: Geometry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def _write_json(document: object, path: Path) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _input(socket: Socket, image: str) -> dict[str, Any]:
    """Return an entry of `inputs.json`, as the platform's own serializer writes it."""
    is_image = socket.kind == "image"
    return {
        "interface": {
            "title": socket.slug.replace("-", " ").capitalize(),
            "description": "",
            "slug": socket.slug,
            "kind": "Image" if is_image else "Multiple points",
            "pk": 0,
            "default_value": None,
            "super_kind": "Image" if is_image else "File",
            "relative_path": socket.relative_path,
            "overlay_segments": [],
            "look_up_table": None,
        },
        "value": None,
        "file": None if is_image else socket.relative_path,
        "image": {"pk": Path(image).stem, "name": image} if is_image else None,
        "pk": 0,
    }
