import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.geometry import Geometry
from common.grandchallenge.check import check_output
from common.grandchallenge.writing import write_mask
from tests.support.platform import (
    CT,
    GRID,
    INTERFACE,
    MASK,
    OBLIQUE,
    PET_ALONE,
    refused,
    save,
    save_case,
)

VOXELS = np.random.default_rng(0).integers(0, 2, GRID.shape).astype(np.uint8)


@pytest.fixture
def input_dir(tmp_path: Path) -> Path:
    return save_case(tmp_path / "input")


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    write_mask(VOXELS, GRID, tmp_path / "output" / MASK.relative_path, "ct-of-case")
    return tmp_path / "output"


@pytest.fixture
def mask(output_dir: Path) -> Path:
    return output_dir / MASK.relative_path / "ct-of-case.mha"


def test_mask_of_a_run_passes(input_dir: Path, output_dir: Path, mask: Path) -> None:
    assert check_output(input_dir, output_dir, INTERFACE) == mask


def test_mask_of_a_nifti_case_passes(input_dir: Path, output_dir: Path, mask: Path) -> None:
    (input_dir / "images/pet/pet-of-case.mha").unlink()
    save(input_dir / "images/pet/pet-of-case.nii.gz", np.ones(GRID.shape, np.float32))
    assert check_output(input_dir, output_dir, INTERFACE) == mask


def test_mask_of_a_case_named_in_capitals_passes(input_dir: Path, output_dir: Path, mask: Path) -> None:
    path = input_dir / "images/pet/pet-of-case.mha"
    path.rename(path.with_suffix(".MHA"))
    assert check_output(input_dir, output_dir, INTERFACE) == mask


@pytest.mark.parametrize("value", [0, 1])
def test_mask_of_one_label_passes(input_dir: Path, output_dir: Path, mask: Path, value: int) -> None:
    write_mask(np.full_like(VOXELS, value), GRID, mask.parent, mask.stem)
    assert check_output(input_dir, output_dir, INTERFACE) == mask


def test_missing_mask_is_refused(input_dir: Path, output_dir: Path, mask: Path) -> None:
    mask.unlink()
    with refused(mask.parent, "0 images (found nothing)"):
        check_output(input_dir, output_dir, INTERFACE)
    mask.parent.rmdir()
    with refused(mask.parent, "No such file or directory"):
        check_output(input_dir, output_dir, INTERFACE)


def test_second_mask_is_refused(input_dir: Path, output_dir: Path, mask: Path) -> None:
    write_mask(VOXELS, GRID, mask.parent, "other")
    with refused(mask.parent, "2 images (found ct-of-case.mha, other.mha)"):
        check_output(input_dir, output_dir, INTERFACE)


@pytest.mark.parametrize("surplus", ["log.txt", "images/other/mask.mha", f"{MASK.relative_path}/.part.mha"])
def test_any_other_file_is_refused(input_dir: Path, output_dir: Path, surplus: str) -> None:
    path = output_dir / surplus
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with refused(f"{path}: not expected"):
        check_output(input_dir, output_dir, INTERFACE)


@pytest.mark.usefixtures("mask")
def test_dangling_link_is_refused(input_dir: Path, output_dir: Path) -> None:
    (output_dir / "link").symlink_to("nowhere")
    with refused(f"{output_dir / 'link'}: not expected"):
        check_output(input_dir, output_dir, INTERFACE)


def test_mask_that_is_a_link_is_refused(
    input_dir: Path, output_dir: Path, mask: Path, tmp_path: Path
) -> None:
    mask.rename(tmp_path / "elsewhere.mha")
    mask.symlink_to(tmp_path / "elsewhere.mha")
    with refused(f"{mask}: not expected"):
        check_output(input_dir, output_dir, INTERFACE)


def test_format_that_the_platform_does_not_import_is_refused(
    input_dir: Path, output_dir: Path, mask: Path
) -> None:
    mask.unlink()
    save(mask.with_suffix(".nii.gz"), VOXELS)
    with refused(mask.with_suffix(".nii.gz"), "not a format that the platform imports, expected .mha"):
        check_output(input_dir, output_dir, INTERFACE)


def test_damaged_mask_is_refused(input_dir: Path, output_dir: Path, mask: Path) -> None:
    os.truncate(mask, mask.stat().st_size - 3)
    with refused(mask, "damaged or cut short"):
        check_output(input_dir, output_dir, INTERFACE)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32"])
def test_mask_of_another_type_is_refused(input_dir: Path, output_dir: Path, mask: Path, dtype: str) -> None:
    save(mask, VOXELS.astype(dtype))
    with refused(mask, f"voxels of type {dtype}, expected uint8"):
        check_output(input_dir, output_dir, INTERFACE)


def test_mask_of_several_channels_is_refused(input_dir: Path, output_dir: Path, mask: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.stack([VOXELS] * 3, axis=-1), isVector=True)
    SimpleITK.WriteImage(image, mask)
    with refused(mask, "'3' channels, expected a 3D image"):
        check_output(input_dir, output_dir, INTERFACE)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("size", replace(GRID, size=(8, 9, 7))),
        ("spacing", replace(GRID, spacing=(2.0, 2.001, 3.0))),
        ("origin", replace(GRID, origin=(-10.0, 5.0, 20.01))),
        ("direction", replace(GRID, direction=OBLIQUE)),
    ],
)
def test_mask_on_another_grid_is_refused(
    input_dir: Path, output_dir: Path, mask: Path, name: str, grid: Geometry
) -> None:
    save(mask, VOXELS.reshape(grid.shape), grid)
    with refused(mask, f"{name} (", "expected that of the reference image"):
        check_output(input_dir, output_dir, INTERFACE)


@pytest.mark.parametrize("name", ["pet-of-case.mha", "mask.mha"])
def test_mask_of_another_name_than_its_image_is_refused(
    input_dir: Path, output_dir: Path, mask: Path, name: str
) -> None:
    wrong = mask.rename(mask.with_name(name))
    with refused(wrong, "expected the name ct-of-case.mha, after the image", "images/ct/ct-of-case.mha"):
        check_output(input_dir, output_dir, INTERFACE)


def test_mask_named_after_the_reference_passes_where_the_interface_says_so(
    input_dir: Path, output_dir: Path, mask: Path
) -> None:
    inputs = (replace(CT, names_mask=False), PET_ALONE)
    mask = mask.rename(mask.with_name("pet-of-case.mha"))
    assert check_output(input_dir, output_dir, replace(INTERFACE, inputs=inputs)) == mask


def test_every_label_that_the_interface_names_passes(input_dir: Path, output_dir: Path, mask: Path) -> None:
    interface = replace(INTERFACE, outputs=(replace(MASK, labels=("lesion", "liver", "spleen")),))
    save(mask, VOXELS * 3)
    assert check_output(input_dir, output_dir, interface) == mask
    save(mask, VOXELS * 4)
    with refused(mask, "holds the label 4, expected 0 to 3 only"):
        check_output(input_dir, output_dir, interface)


def test_other_labels_are_refused(input_dir: Path, output_dir: Path, mask: Path) -> None:
    save(mask, VOXELS * 255)
    with refused(mask, "holds the label 255, expected 0 and 1 only"):
        check_output(input_dir, output_dir, INTERFACE)
