import errno
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.grandchallenge.geometry import Geometry
from common.grandchallenge.writing import check_writable, write_mask
from tests.common.grandchallenge.helpers import GRID, OBLIQUE, refused, run_python

MASK = np.random.default_rng(0).integers(0, 2, GRID.shape).astype(np.uint8)


def test_mask_keeps_the_reference_geometry(tmp_path: Path) -> None:
    grid = Geometry(GRID.size, (1 / 3, 2 / 7, 3.0000001), (-1e3 / 7, 1e-9, 123.456789012345678), OBLIQUE)
    path = write_mask(MASK, grid, tmp_path / "images/mask", "pet-of-case")
    image = SimpleITK.ReadImage(path)
    assert path == tmp_path / "images/mask/pet-of-case.mha"
    assert image.GetPixelID() == SimpleITK.sitkUInt8
    assert (image.GetSize(), image.GetSpacing()) == (grid.size, grid.spacing)
    assert (image.GetOrigin(), image.GetDirection()) == (grid.origin, grid.direction)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), MASK)


def test_mask_is_compressed_and_alone(tmp_path: Path) -> None:
    path = write_mask(MASK, GRID, tmp_path, "mask")
    assert b"CompressedData = True" in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_mask_may_be_read_by_others(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        assert write_mask(MASK, GRID, tmp_path, "mask").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(previous)


def test_mask_replaces_that_of_an_earlier_run(tmp_path: Path) -> None:
    write_mask(1 - MASK, GRID, tmp_path, "mask")
    path = write_mask(MASK, GRID, tmp_path, "mask")
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)), MASK)


@pytest.mark.parametrize("mask", [MASK.astype(bool), MASK[1:], MASK.astype(np.float32)])
def test_array_that_is_no_mask_of_that_grid_is_a_bug(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        write_mask(mask, GRID, tmp_path, "mask")
    assert not list(tmp_path.iterdir())


def test_folder_is_made_where_it_is_missing_and_stays_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "images/mask")
    assert not list((tmp_path / "images/mask").iterdir())


def test_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with refused(tmp_path / "images/mask", "cannot be written (Not a directory)"):
        check_writable(tmp_path / "images/mask")
    with refused(tmp_path / "images/mask", "cannot be written"):
        write_mask(MASK, GRID, tmp_path / "images/mask", "mask")


def test_folder_that_takes_no_file_is_refused() -> None:
    with refused("/proc/self", "cannot be written", "give a folder with room and permission"):
        check_writable(Path("/proc/self"))
    with refused("/proc/self", "cannot be written"):
        write_mask(MASK, GRID, Path("/proc/self"), "mask")


def test_file_that_cannot_be_replaced_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "mask.mha").mkdir()
    with refused(tmp_path / "mask.mha", "cannot be written", os.strerror(errno.EISDIR)):
        write_mask(MASK, GRID, tmp_path, "mask")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.mha"]


def test_disk_that_runs_full_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from common.errors import InputError
from common.grandchallenge.writing import write_mask
from tests.common.grandchallenge.helpers import GRID
from tests.common.grandchallenge.test_writing import MASK
setrlimit(RLIMIT_FSIZE, (300, 300))
try:
    write_mask(MASK, GRID, Path(argv[1]), "mask")
except InputError as error:
    print(error.exit_code, error)
"""
    printed = run_python(code, tmp_path)
    assert printed.startswith(f"2 {tmp_path / 'mask.mha'}: the mask cannot be written")
    assert "File too large" in printed
    assert not list(tmp_path.iterdir())
