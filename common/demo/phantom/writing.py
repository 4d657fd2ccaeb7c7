"""Phantoms as files, in the layout of an algorithm's input on the platform."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.case import Click
from common.demo.phantom.phantom import Phantom
from common.errors import InputError
from common.geometry import Geometry


def write_phantom(phantom: Phantom, input_dir: Path, truth_path: Path) -> None:
    """Write images, clicks and `inputs.json` below `input_dir`, and the ground truth to `truth_path`.

    All three images have the file name of `truth_path`, an `.mha` file. Raises `InputError` for folders that
    cannot be written.
    """
    try:
        _write(phantom, input_dir, truth_path)
    except (OSError, RuntimeError) as error:  # the latter is SimpleITK's
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{input_dir.parent}: the phantom cannot be written ({reason}); give a folder with room and "
            "permission"
        ) from error


def _write(phantom: Phantom, input_dir: Path, truth_path: Path) -> None:
    name = f"{truth_path.stem}.mha"
    _write_image(phantom.ct.astype(np.int16), phantom.geometry, input_dir / "images/ct" / name)
    _write_image(phantom.pet, phantom.geometry, input_dir / "images/pet" / name)
    _write_image(phantom.truth, phantom.geometry, truth_path)
    _write_json(_clicks_document(phantom.clicks), input_dir / "lesion-clicks.json")
    _write_json(_inputs_document(name), input_dir / "inputs.json")


def _write_image(volume: NDArray[Any], geometry: Geometry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def _write_json(document: object, path: Path) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _clicks_document(clicks: tuple[Click, ...]) -> dict[str, Any]:
    """Return clicks as JSON of the platform's kind "Multiple points"."""
    return {
        "name": "Lesion clicks",
        "type": "Multiple points",
        "points": [{"name": click.name, "point": list(click.point)} for click in clicks],
        "version": {"major": 1, "minor": 0},
    }


def _inputs_document(image: str) -> list[dict[str, Any]]:
    """Return the content of `inputs.json`, in the format of the platform's serializer."""
    return [
        _input("CT", "ct", "Image", "images/ct", image),
        _input("PET", "pet", "Image", "images/pet", image),
        _input("Lesion clicks", "lesion-clicks", "Multiple points", "lesion-clicks.json", None),
    ]


def _input(title: str, slug: str, kind: str, relative_path: str, image: str | None) -> dict[str, Any]:
    return {
        "interface": {
            "title": title,
            "description": "",
            "slug": slug,
            "kind": kind,
            "pk": 0,
            "default_value": None,
            "super_kind": "Image" if image else "File",
            "relative_path": relative_path,
            "overlay_segments": [],
            "look_up_table": None,
        },
        "value": None,
        "file": None if image else relative_path,
        "image": {"pk": Path(image).stem, "name": image} if image else None,
        "pk": 0,
    }
