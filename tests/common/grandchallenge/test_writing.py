import errno
import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK

from common.geometry import Geometry
from common.grandchallenge import metaimage
from common.grandchallenge.metaimage import max_bytes
from common.grandchallenge.writing import check_destination, prepare_folder, write_mask
from tests.support.platform import GRID, OBLIQUE, refused, run_python

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
    prepare_folder(tmp_path / "images/mask")
    assert not list((tmp_path / "images/mask").iterdir())


def test_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with refused(tmp_path / "images/mask", "cannot be written (Not a directory)"):
        prepare_folder(tmp_path / "images/mask")
    with refused(tmp_path / "images/mask", "cannot be written"):
        write_mask(MASK, GRID, tmp_path / "images/mask", "mask")


def test_folder_that_takes_no_file_is_refused() -> None:
    with refused("/proc/self", "cannot be written", "give a folder with room and permission"):
        prepare_folder(Path("/proc/self"))
    with refused("/proc/self", "cannot be written"):
        write_mask(MASK, GRID, Path("/proc/self"), "mask")


def test_file_that_cannot_be_replaced_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "mask.mha").mkdir()
    with refused(tmp_path / "mask.mha", "cannot be written", os.strerror(errno.EISDIR)):
        write_mask(MASK, GRID, tmp_path, "mask")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.mha"]


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = {"mask.mha", "notes.txt", ".hidden"}
    for name in (*kept, ".mask.unfinished.mha", ".0a1b.unfinished.mha"):
        (tmp_path / name).touch()
    prepare_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


LONGEST = "ü" * 125 + "x"
"""With `.mha`, 255 bytes, which is as much as Linux's file systems take."""


def test_mask_of_the_longest_name_is_written(tmp_path: Path) -> None:
    check_destination(tmp_path, LONGEST, GRID)
    assert write_mask(MASK, GRID, tmp_path, LONGEST).name == f"{LONGEST}.mha"


def test_name_that_is_too_long_for_the_folder_is_refused(tmp_path: Path) -> None:
    with refused(
        f"{LONGEST}x.mha: a name of 256 bytes, the folder takes 255", "the image that names the mask"
    ):
        check_destination(tmp_path, f"{LONGEST}x", GRID)


def test_another_image_in_the_folder_is_refused(tmp_path: Path) -> None:
    for name in ("other.MHA", "second.nii.gz"):
        (tmp_path / name).touch()
    with refused(f"{tmp_path / 'other.MHA'}: is there already", "mask.mha alone", "empty the folder"):
        check_destination(tmp_path, "mask", GRID)


def test_folder_of_the_masks_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.mha").mkdir()
    with refused(f"{tmp_path / 'mask.mha'}: is there already", "empty the folder"):
        check_destination(tmp_path, "mask", GRID)


@pytest.mark.parametrize("name", ["mask.mha", ".hidden.mha", "notes.txt"])
def test_file_that_does_not_join_the_mask_is_no_obstacle(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    check_destination(tmp_path, "mask", GRID)


def disk(monkeypatch: pytest.MonkeyPatch, free: int, blocks: int = 10**6) -> None:
    """Have every folder on a disk with so many blocks of one byte."""
    found = SimpleNamespace(f_bavail=free, f_frsize=1, f_blocks=blocks)
    monkeypatch.setattr(os, "statvfs", lambda path: found)


LARGE = Geometry((400, 400, 326), GRID.spacing, GRID.origin, GRID.direction)


def test_disk_without_room_for_the_mask_is_refused_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, free=3 * 2**20)
    with refused(f"{tmp_path}: the mask needs up to 49.80 MiB, 3.00 MiB are free", "make room"):
        check_destination(tmp_path, "mask", LARGE)


def test_disk_that_lacks_one_byte_is_refused_with_numbers_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, free=max_bytes(math.prod(LARGE.size)) - 1)
    with refused("needs up to 49.80 MiB, 49.79 MiB are free"):
        check_destination(tmp_path, "mask", LARGE)
    disk(monkeypatch, free=max_bytes(math.prod(LARGE.size)))
    check_destination(tmp_path, "mask", LARGE)


def test_file_system_that_does_not_tell_its_size_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, free=0, blocks=0)
    check_destination(tmp_path, "mask", LARGE)


def test_interrupted_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, mask: object, geometry: object) -> None:
        path.write_bytes(b"half a mask")
        raise KeyboardInterrupt

    monkeypatch.setattr(metaimage, "write", write)
    with pytest.raises(KeyboardInterrupt):
        write_mask(MASK, GRID, tmp_path, "mask")
    assert not list(tmp_path.iterdir())


def test_disk_that_runs_full_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from common.errors import InputError
from common.grandchallenge.writing import write_mask
from tests.support.platform import GRID
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
