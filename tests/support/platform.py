"""Cases as the platform lays them out, made with SimpleITK."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from common.errors import InputError, MachineError
from common.geometry import Geometry
from common.grandchallenge.interface import Interface, Socket
from common.grandchallenge.itk import image_of

REPOSITORY = Path(__file__).parents[2]

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = tuple(Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix().ravel().tolist())
GRID = Geometry((9, 8, 7), (2.0, 2.0, 3.0), (-10.0, 5.0, 20.0), IDENTITY)

CT = Socket("ct", "image", "images/ct", names_mask=True, outside=-1024.0)
PET = Socket("pet", "image", "images/pet", reference=True)
PET_ALONE = replace(PET, names_mask=True)
CLICKS = Socket("lesion-clicks", "multiple-points", "lesion-clicks.json", optional=True)
MASK = Socket("tumor-lesion-segmentation", "segmentation", "images/tumor-lesion-segmentation")
INTERFACE = Interface("Lesions", (CT, PET, CLICKS), (MASK,))


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def save(path: Path, voxels: NDArray[Any], geometry: Geometry = GRID, *, compressed: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image_of(voxels, geometry), path, useCompression=compressed)
    return path


def save_case(input_dir: Path) -> Path:
    """A CT and a PET on one grid, one click."""
    save(input_dir / "images/ct/ct-of-case.mha", noise(GRID.shape, 1) * 300)
    save(input_dir / "images/pet/pet-of-case.mha", noise(GRID.shape, 2))
    save_clicks(input_dir / "lesion-clicks.json", [{"point": [1, 2, 3], "name": "tumor"}])
    return input_dir


def save_clicks(path: Path, points: object, **surplus: object) -> Path:
    document = {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": points}
    path.write_text(json.dumps({**document, **surplus}))
    return path


def edit_header(path: Path, old: str, new: str) -> Path:
    content = path.read_bytes()
    assert content.count(old.encode()) == 1
    path.write_bytes(content.replace(old.encode(), new.encode()))
    return path


@contextmanager
def refused(*fragments: object, error: type[InputError] | type[MachineError] = InputError) -> Iterator[None]:
    """The block fails with one line that has all the fragments in it."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for fragment in fragments:
        assert str(fragment) in message


def run_python(code: str, *arguments: object) -> str:
    """What `code` prints in a process of its own, where `argv` holds the arguments."""
    command = [sys.executable, "-c", f"from sys import argv\n{code}", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY).stdout
