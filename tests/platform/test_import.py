"""What the platform's own import, panimg, makes of a mask."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from panimg import convert
from panimg.image_builders.metaio_mhd_mha import image_builder_mhd

from common.geometry import Geometry
from common.grandchallenge.check import check_output
from common.grandchallenge.writing import write_mask
from tests.support.platform import GRID, INTERFACE, OBLIQUE, noise, save, save_clicks

OBLIQUE_GRID = Geometry((11, 8, 7), (1.5, 2.0, 3.25), (-10.0, 5.0, 20.5), OBLIQUE)


@pytest.mark.parametrize("grid", [GRID, OBLIQUE_GRID], ids=["axial", "oblique"])
@pytest.mark.parametrize("labels", [(0,), (1,), (0, 1)], ids=str)
def test_a_mask_is_imported_as_one_image_with_its_labels_and_geometry(
    grid: Geometry, labels: tuple[int, ...], tmp_path: Path
) -> None:
    case, output = tmp_path / "input", tmp_path / "output"
    ct = save(case / "images/ct/ct-of-case.mha", noise(grid.shape), grid)
    save(case / "images/pet/pet-of-case.mha", noise(grid.shape), grid)
    save_clicks(case / "lesion-clicks.json", [])
    mask = np.resize(np.array(labels, np.uint8), grid.shape)
    write_mask(mask, grid, output / INTERFACE.mask.relative_path, ct.stem)
    path = check_output(case, output, INTERFACE)

    imported = convert(
        input_directory=path.parent, output_directory=tmp_path / "imported", builders=[image_builder_mhd]
    )

    assert not imported.file_errors
    assert imported.consumed_files == {path}
    (image,) = imported.new_images
    assert image.segments == frozenset(labels)
    assert (image.depth, image.height, image.width) == grid.shape
    voxel = (image.voxel_width_mm, image.voxel_height_mm, image.voxel_depth_mm)
    assert voxel == pytest.approx(grid.spacing, abs=1e-5)
    (file,) = (file.file for file in imported.new_image_files if file.file.suffix == ".mha")
    read = SimpleITK.ReadImage(file)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read), mask)
    assert read.GetOrigin() == pytest.approx(grid.origin, abs=1e-5)
    assert read.GetDirection() == pytest.approx(grid.direction, abs=1e-5)
