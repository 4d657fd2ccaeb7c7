import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.geometry import Geometry
from common.grandchallenge.nifti import read, read_geometry
from tests.support.platform import GRID, OBLIQUE, noise, refused, save


def test_image_comes_back_as_simpleitk_wrote_it(tmp_path: Path) -> None:
    grid = Geometry((9, 8, 7), (2.0, 1.5, 3.0), (-10.0, 5.0, 20.0), OBLIQUE)
    path = save(tmp_path / "image.nii.gz", noise(grid.shape), grid)
    voxels, geometry = read(path)
    assert geometry == read_geometry(path)
    assert geometry.size == grid.size
    np.testing.assert_allclose(geometry.spacing, grid.spacing, rtol=1e-6)
    np.testing.assert_allclose(geometry.origin, grid.origin, rtol=1e-6)
    np.testing.assert_allclose(geometry.direction, grid.direction, atol=1e-6)
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, noise(grid.shape))


def test_integers_become_float32(tmp_path: Path) -> None:
    stored = (noise(GRID.shape) * 1000).astype(np.int16)
    path = save(tmp_path / "image.nii.gz", stored)
    np.testing.assert_array_equal(read(path)[0], stored.astype(np.float32))


def test_file_cut_short_anywhere_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "image.nii.gz", noise(GRID.shape))
    whole = path.read_bytes()
    for length in (*range(0, len(whole), 50), len(whole) - 1):
        path.write_bytes(whole[:length])
        with refused(path):
            read(path)
    assert capfd.readouterr().err == ""


def test_damage_anywhere_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "image.nii.gz", noise(GRID.shape))
    whole = path.read_bytes()
    for position in range(20, len(whole), 50):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with refused(path):
            read(path)


@pytest.mark.parametrize("content", [b"", b"no gzip"])
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(content)
    with refused(path, "damaged or cut short"):
        read(path)


def test_image_of_other_dimensions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise((3, 4, 5, 6)), isVector=False), path)
    for reading in (read, read_geometry):
        with refused(path, "4D", "expected a 3D image"):
            reading(path)


def test_vector_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise((4, 5, 6, 3)), isVector=True), path)
    for reading in (read, read_geometry):
        with refused(path, "expected a 3D image"):
            reading(path)


def test_scale_of_the_header_is_applied(tmp_path: Path) -> None:
    stored = (noise(GRID.shape) * 1000).astype(np.int16)
    content = bytearray(gzip.decompress(save(tmp_path / "image.nii.gz", stored).read_bytes()))
    struct.pack_into("<2f", content, 112, 0.25, -3.0)
    path = tmp_path / "scaled.nii.gz"
    path.write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(read(path)[0], stored * np.float32(0.25) - 3)
    np.testing.assert_allclose(read(path)[0], SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)))


def test_volume_that_was_cut_short_before_compression_is_refused(tmp_path: Path) -> None:
    content = gzip.decompress(save(tmp_path / "image.nii.gz", noise(GRID.shape)).read_bytes())
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(gzip.compress(content[:-4]))
    with refused(path, "damaged or cut short", "instead of 2016"):
        read(path)
