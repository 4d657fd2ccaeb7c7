import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from common.dicom.reading import find_images, open_only_series
from common.geometry import Geometry
from tests.support.dicom_phantoms import write_ct, write_enhanced_pet, write_pet
from tests.support.platform import IDENTITY, OBLIQUE, refused

Suv = NDArray[np.float32]
GRIDS = [
    Geometry((7, 6, 9), (2.0, 2.5, 3.0), (-10.0, 5.0, 20.0), direction) for direction in (IDENTITY, OBLIQUE)
]


@pytest.mark.parametrize("grid", GRIDS, ids=["axial", "oblique"])
@pytest.mark.parametrize("write", [write_pet, write_enhanced_pet], ids=["files", "frames"])
def test_the_grid_is_that_of_the_phantom_and_of_itk(
    grid: Geometry, write: Callable[..., Any], suv: Suv, tmp_path: Path
) -> None:
    write(tmp_path, suv, grid)
    found = find_images(tmp_path)["pet"].geometry
    assert found.size == grid.size
    for name in ("spacing", "origin", "direction"):
        assert getattr(found, name) == pytest.approx(getattr(grid, name), abs=1e-5)
    if write is write_pet:
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
        image = reader.Execute()
        assert found.origin == pytest.approx(image.GetOrigin(), abs=1e-3)
        assert found.direction == pytest.approx(image.GetDirection(), abs=1e-5)


def test_ct_is_in_hounsfield_units_on_a_grid_of_its_own(suv: Suv, tmp_path: Path) -> None:
    hu = np.round(suv * 100 - 1000)
    write_pet(tmp_path, suv, GRIDS[0])
    write_ct(tmp_path / "below", hu, GRIDS[1])
    images = find_images(tmp_path)
    np.testing.assert_array_equal(images["ct"].voxels(), hu)
    assert images["ct"].geometry.direction == pytest.approx(GRIDS[1].direction)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda uid: uid.name)
def test_compressed_slices_are_read(syntax: UID, tmp_path: Path) -> None:
    suv = np.random.default_rng(0).uniform(0, 20, (3, 64, 64))  # JPEG 2000 does not take much smaller ones
    paths = write_pet(tmp_path, suv, replace(GRIDS[0], size=(64, 64, 3)))
    plain = find_images(tmp_path)["pet"].voxels()
    for path in paths:
        header = pydicom.dcmread(path)
        header.PixelRepresentation = 0  # no encoder here takes signed voxels; there are no negative ones
        header.compress(syntax, generate_instance_uid=False)
        header.save_as(path)
    np.testing.assert_array_equal(find_images(tmp_path)["pet"].voxels(), plain)


def test_other_files_and_scouts_are_left_aside(suv: Suv, tmp_path: Path) -> None:
    write_pet(tmp_path, suv, GRIDS[0])
    write_ct(tmp_path / "scout", suv[:1], GRIDS[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (tmp_path / "notes.txt").write_text("no image")
    assert find_images(tmp_path).keys() == {"pet"}


def test_of_two_series_one_must_be_chosen(suv: Suv, tmp_path: Path) -> None:
    write_pet(tmp_path / "a", suv, GRIDS[0], SeriesDescription="first")
    write_pet(tmp_path / "b", suv * 2, GRIDS[0], SeriesDescription="second")
    uids = {name: open_only_series(tmp_path / name).series.uid for name in ("a", "b")}
    with refused(tmp_path, "2 series are PT", uids["a"], uids["b"], "first", "--series UID"):
        find_images(tmp_path)
    np.testing.assert_allclose(find_images(tmp_path, [uids["b"]])["pet"].voxels(), suv * 2, atol=1e-3)
    with refused(tmp_path, "no series has the UID 1.2.3", uids["a"]):
        find_images(tmp_path, ["1.2.3"])


def test_a_ct_alone_is_refused(suv: Suv, tmp_path: Path) -> None:
    write_ct(tmp_path, suv, GRIDS[0])
    with refused(tmp_path, "no series is a PET (modality PT); found", "(CT, 9 files"):
        find_images(tmp_path)


def test_a_missing_slice_is_named(suv: Suv, tmp_path: Path) -> None:
    paths = write_pet(tmp_path, suv, GRIDS[1])
    paths[4].unlink()
    with refused(paths[5], f"6.000 mm from {paths[3]}, others are 3.000 mm apart", "a slice is missing"):
        find_images(tmp_path)


def test_a_slice_that_is_there_twice_is_named(suv: Suv, tmp_path: Path) -> None:
    paths = write_pet(tmp_path, suv, GRIDS[0])
    shutil.copy(paths[3], tmp_path / "copy")
    with refused("copy", paths[3], "a slice is there twice"):
        find_images(tmp_path)


def test_a_tilted_gantry_is_refused(suv: Suv, tmp_path: Path, edited: Callable[..., None]) -> None:
    paths = write_ct(tmp_path, suv, GRIDS[0])
    for index, path in enumerate(paths):
        x, y, z = pydicom.dcmread(path).ImagePositionPatient
        edited(path, ImagePositionPatient=[x, y + 0.2 * index, z])
    with refused("as by a tilted gantry; export the series straightened"):
        open_only_series(tmp_path)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "expected slices of one orientation"),
        ({"PixelSpacing": [3, 3]}, "expected one size"),
        ({"Rows": 5}, "expected slices of one size"),
        ({"ImagePositionPatient": None}, "where it lies is not said"),
        ({"PixelSpacing": None}, "where it lies is not said"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_slices_that_are_no_volume_are_refused(
    attributes: dict[str, Any], message: str, suv: Suv, tmp_path: Path, edited: Callable[..., None]
) -> None:
    path = write_pet(tmp_path, suv, GRIDS[0])[2]
    edited(path, **attributes)
    with refused(path, message):
        find_images(tmp_path)


def test_a_single_slice_is_no_volume(suv: Suv, tmp_path: Path) -> None:
    write_pet(tmp_path, suv[:1], GRIDS[0])
    with refused("the series' only slice; expected a volume"):
        find_images(tmp_path)


def test_damaged_files_are_refused_in_one_line(suv: Suv, tmp_path: Path) -> None:
    path = write_pet(tmp_path, suv, GRIDS[0])[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with refused(path, "its pixels cannot be decoded"):
        find_images(tmp_path)["pet"].voxels()
    path.write_bytes(whole[:140])
    with refused(tmp_path):
        find_images(tmp_path)
    path.write_bytes(whole[:132] + bytes(range(256)))
    with refused(tmp_path):
        find_images(tmp_path)
