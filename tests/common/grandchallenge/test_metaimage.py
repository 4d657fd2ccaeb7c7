from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import DTypeLike

from common.geometry import Geometry
from common.grandchallenge.metaimage import max_bytes, read, read_header, write
from tests.support.platform import GRID, OBLIQUE, edit_header, noise, refused, run_python, save

SMALL = Geometry((5, 4, 3), GRID.spacing, GRID.origin, GRID.direction)
TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@pytest.mark.parametrize("size", [(2, 2, 2), (9, 8, 7), (200, 200, 100)])
def test_file_of_voxels_that_do_not_compress_is_as_large_as_foretold(
    tmp_path: Path, size: tuple[int, int, int]
) -> None:
    geometry = Geometry(size, (1 / 3, 2 / 7, 3.0000001), (-1e3 / 7, 1e-9, 123.4567890123456), OBLIQUE)
    voxels = np.random.default_rng(0).integers(0, 256, geometry.shape, np.uint8)
    write(tmp_path / "mask.mha", voxels, geometry)
    assert voxels.size < (tmp_path / "mask.mha").stat().st_size <= max_bytes(voxels.size)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_voxels_are_those_that_simpleitk_wrote(tmp_path: Path, dtype: DTypeLike, compressed: bool) -> None:
    stored = (noise(GRID.shape) * 40).clip(0).astype(dtype)
    path = save(tmp_path / "image.mha", stored, compressed=compressed)
    header = read_header(path)
    voxels, _ = read(path)
    assert header.dtype == dtype
    assert header.compressed == compressed
    assert voxels.dtype == np.float32
    assert voxels.flags.c_contiguous
    np.testing.assert_array_equal(voxels, stored.astype(np.float32))


def test_geometry_is_that_which_simpleitk_reads(tmp_path: Path) -> None:
    written = Geometry((9, 8, 7), (1 / 3, 2 / 7, 3.0000001), (-1e3 / 7, 1e-9, 123.456789012345678), OBLIQUE)
    path = save(tmp_path / "image.mha", noise(written.shape), written)
    image, geometry = SimpleITK.ReadImage(path), read_header(path).geometry
    assert geometry == written
    assert geometry.size == image.GetSize()
    assert geometry.spacing == image.GetSpacing()
    assert geometry.origin == image.GetOrigin()
    assert geometry.direction == image.GetDirection()


def test_big_endian_voxels_are_turned(tmp_path: Path) -> None:
    stored = noise(GRID.shape)
    path = save(tmp_path / "image.mha", stored.byteswap(), compressed=False)
    edit_header(path, "BinaryDataByteOrderMSB = False", "BinaryDataByteOrderMSB = True")
    np.testing.assert_array_equal(read(path)[0], stored)


@pytest.mark.parametrize("compressed", [False, True])
def test_file_cut_short_anywhere_is_refused(tmp_path: Path, compressed: bool) -> None:
    path = save(tmp_path / "image.mha", noise((3, 4, 5)), SMALL, compressed=compressed)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with refused(path):
            read(path)


def test_damage_anywhere_in_compressed_voxels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "image.mha", noise(GRID.shape))
    whole = path.read_bytes()
    for position in range(whole.index(b"LOCAL") + 6, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with refused(path, "damaged or cut short"):
            read(path)


def test_more_voxels_than_the_header_tells_are_refused(tmp_path: Path) -> None:
    for compressed in (False, True):
        path = save(tmp_path / "image.mha", noise(GRID.shape), compressed=compressed)
        edit_header(path, "DimSize = 9 8 7", "DimSize = 9 8 5")
        with refused(path, "damaged or cut short", "instead of 1440"):
            read(path)


@pytest.mark.parametrize("size", ["40000 40000 40000", "4000000000 4000000000 4000000000"])
def test_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(
    tmp_path: Path, size: str
) -> None:
    path = save(tmp_path / "image.mha", noise(GRID.shape))
    edit_header(path, "DimSize = 9 8 7", f"DimSize = {size}")
    with refused(path, "cannot hold its"):
        read(path)


@pytest.mark.parametrize(
    ("old", "new", "fragment"),
    [
        ("NDims = 3", "NDims = 300", "'300' dimensions, expected a 3D image"),
        ("NDims = 3", "NDim = 3", "None dimensions"),
        ("DimSize = 9 8 7", "DimSize = 9 8", "DimSize"),
        ("DimSize = 9 8 7", "DimSize = 9 8 7.5", "DimSize"),
        ("DimSize = 9 8 7", "DimSize = 9 8 x", "DimSize"),
        ("DimSize = 9 8 7", f"DimSize = 9 8 {'9' * 400}", "DimSize"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = 2 nan 3", "ElementSpacing"),
        ("ElementSpacing = 2 2 3", "ElementSpaling = 2 2 3", "ElementSpacing"),
        ("Offset = -10 5 20", "Offset = -10 inf 20", "Offset"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1 0 0 0 1 0 0 0", "TransformMatrix"),
        ("ElementType = MET_FLOAT", "ElementType = MET_STRING", "'MET_STRING', expected binary numbers"),
        ("BinaryData = True", "BinaryData = False", "expected binary numbers"),
        ("ElementDataFile = LOCAL", "ElementDataFile = /etc/passwd", "in another file"),
        ("ElementDataFile = LOCAL", "ElementDataFile is LOCAL", "not that of a MetaImage"),
        ("ObjectType = Image", "x" * 5000, "not that of a MetaImage"),
    ],
)
def test_damaged_header_is_refused(tmp_path: Path, old: str, new: str, fragment: str) -> None:
    path = edit_header(save(tmp_path / "image.mha", noise(GRID.shape)), old, new)
    with refused(path, fragment):
        read_header(path)


def test_vector_image_is_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(noise((4, 5, 6, 3)), isVector=True)
    SimpleITK.WriteImage(image, tmp_path / "image.mha")
    with refused("image.mha", "'3' channels, expected a 3D image of one channel"):
        read_header(tmp_path / "image.mha")


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5, 6)])
def test_image_that_is_not_3d_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise(shape), isVector=False), tmp_path / "image.mha")
    with refused("image.mha", f"'{len(shape)}' dimensions, expected a 3D image"):
        read_header(tmp_path / "image.mha")


def test_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with refused("cannot be read (No such file or directory)"):
        read_header(tmp_path / "image.mha")


def test_reading_holds_one_copy_of_the_image(tmp_path: Path) -> None:
    path = save(tmp_path / "image.mha", np.abs(noise((96, 200, 200))).round(2))
    code = """
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from common.grandchallenge.metaimage import max_bytes, read, read_header, write
before = getrusage(RUSAGE_SELF).ru_maxrss
voxels, _ = read(Path(argv[1]))
print((getrusage(RUSAGE_SELF).ru_maxrss - before) * 1024 / voxels.nbytes)
"""
    assert float(run_python(code, path)) < 1.6


def test_memory_that_runs_out_is_the_machines_failure(tmp_path: Path) -> None:
    path = save(tmp_path / "image.mha", np.zeros((96, 200, 200), np.float32))
    code = """
from pathlib import Path
from resource import RLIMIT_DATA, setrlimit
from common.errors import MachineError
from common.grandchallenge.metaimage import max_bytes, read, read_header, write
held = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
setrlimit(RLIMIT_DATA, (held + 2**23, held + 2**23))
try:
    read(Path(argv[1]))
except MachineError as error:
    print(error.exit_code, error)
"""
    assert run_python(code, path).startswith(f"4 not enough memory to read {path}")


def test_simpleitk_reads_what_is_written(tmp_path: Path) -> None:
    grid = Geometry((9, 8, 7), (1 / 3, 2 / 7, 3.0000001), (-1e3 / 7, 1e-9, 123.456789012345678), OBLIQUE)
    mask = (noise(grid.shape) > 0).astype(np.uint8)
    write(tmp_path / "mask.mha", mask, grid)
    image = SimpleITK.ReadImage(tmp_path / "mask.mha")
    assert image.GetPixelID() == SimpleITK.sitkUInt8
    assert (image.GetSize(), image.GetSpacing()) == (grid.size, grid.spacing)
    assert (image.GetOrigin(), image.GetDirection()) == (grid.origin, grid.direction)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), mask)


def test_voxels_in_any_memory_order_are_written_alike(tmp_path: Path) -> None:
    mask = (noise(GRID.shape) > 0).astype(np.uint8)
    write(tmp_path / "rows.mha", mask, GRID)
    write(tmp_path / "columns.mha", np.asfortranarray(mask), GRID)
    assert (tmp_path / "rows.mha").read_bytes() == (tmp_path / "columns.mha").read_bytes()
