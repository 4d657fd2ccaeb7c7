import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from common.geometry import Geometry
from common.grandchallenge.images import find_image, image_stem, read_geometry, read_image
from tests.support.platform import GRID, IDENTITY, edit_header, noise, refused, save

NOBODY = 65534


def grid(size: tuple[int, int, int]) -> Geometry:
    return Geometry(size, GRID.spacing, GRID.origin, GRID.direction)


def become_nobody() -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY)


@pytest.mark.parametrize("name", ["a.mha", "a.nii.gz", "with.dots.mha", "PET.MHA", "x.Nii.Gz"])
def test_the_one_image_in_a_folder_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / ".hidden.mha").touch()
    (tmp_path / "readme.txt").touch()
    (tmp_path / name).touch()
    assert find_image(tmp_path) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.mha", "a"),
        ("a.nii.gz", "a"),
        ("with.dots.mha", "with.dots"),
        ("PET.MHA", "PET"),
        ("Pet.Nii.Gz", "Pet"),
        ("a.mha.MHA", "a.mha"),
    ],
)
def test_stem_is_the_name_without_its_extension(name: str, stem: str) -> None:
    assert image_stem(Path("/input/images/pet") / name) == stem


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "ct", "No such file or directory", "expected a folder with one .mha image"):
        find_image(tmp_path / "ct")


def test_folder_without_an_image_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    with refused(tmp_path, "0 images (found nothing), expected exactly one .mha file"):
        find_image(tmp_path)
    for name in ("a.dcm", "b.dcm", "c.dcm", "d.dcm"):
        (tmp_path / name).touch()
    with refused(tmp_path, "0 images (found a.dcm, b.dcm, c.dcm, …)"):
        find_image(tmp_path)


def test_folder_with_several_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.nii.gz").touch()
    (tmp_path / "a.mha").touch()
    with refused(tmp_path, "2 images (found a.mha, b.nii.gz), expected exactly one .mha file"):
        find_image(tmp_path)


def test_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    folder.mkdir(mode=0)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context, become_nobody) as process, refused(folder, "Permission denied"):
        process.submit(find_image, folder).result()


@pytest.mark.parametrize(
    "name", ["image.mha", "image.nii.gz", "IMAGE.MHA", "image.Mha", "IMAGE.NII.GZ", "image.Nii.Gz"]
)
def test_image_is_read_with_its_geometry(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name.lower(), noise(GRID.shape)).rename(tmp_path / name)
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels, noise(GRID.shape))
    assert image.voxels.dtype == np.float32
    assert image.voxels.flags.c_contiguous
    assert image.geometry == GRID == read_geometry(path)


@pytest.mark.parametrize("name", ["image.mha", "image.nii.gz"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, -1, 250])
def test_voxel_that_is_not_finite_is_refused(tmp_path: Path, name: str, value: float, where: int) -> None:
    voxels = noise(GRID.shape)
    voxels.flat[where] = value
    with refused("image", "NaN or infinite voxels"):
        read_image(save(tmp_path / name, voxels))


def test_voxel_beyond_float32_is_refused(tmp_path: Path) -> None:
    voxels = noise(GRID.shape).astype(np.float64)
    voxels.flat[3] = 1e300
    with refused("NaN or infinite voxels"):
        read_image(save(tmp_path / "image.mha", voxels))


@pytest.mark.parametrize("name", ["image.mha", "image.nii.gz"])
@pytest.mark.parametrize("size", [(9, 8, 1), (1, 8, 7)])
def test_single_slice_is_refused(tmp_path: Path, name: str, size: tuple[int, int, int]) -> None:
    path = save(tmp_path / name, noise(grid(size).shape), grid(size))
    with refused(path, "one slice", " × ".join(map(str, size)), "whole series"):
        read_image(path)


@pytest.mark.parametrize("size", ["0 8 7", "9 8 0", "0 0 0", "9 -8 -7"])
def test_empty_volume_is_refused(tmp_path: Path, size: str) -> None:
    path = save(tmp_path / "image.mha", noise(GRID.shape))
    with refused(path, "empty volume", size.replace(" ", " × ")):
        read_image(edit_header(path, "DimSize = 9 8 7", f"DimSize = {size}"))


@pytest.mark.parametrize("spacing", ["0 2 3", "2 -2 3"])
def test_spacing_that_is_not_above_zero_is_refused(tmp_path: Path, spacing: str) -> None:
    path = save(tmp_path / "image.mha", noise(GRID.shape))
    with refused(path, "spacing (", "expected millimetres"):
        read_image(edit_header(path, "ElementSpacing = 2 2 3", f"ElementSpacing = {spacing}"))


@pytest.mark.parametrize("direction", ["0 0 0 0 0 0 0 0 0", "1 0 0 0 1 0 0 0.3 1", "2 0 0 0 2 0 0 0 2"])
def test_direction_that_is_no_rotation_is_refused(tmp_path: Path, direction: str) -> None:
    path = save(tmp_path / "image.mha", noise(GRID.shape))
    identity = " ".join(f"{value:g}" for value in IDENTITY)
    with refused(path, "direction", "expected three perpendicular unit vectors"):
        read_image(edit_header(path, f"TransformMatrix = {identity}", f"TransformMatrix = {direction}"))
