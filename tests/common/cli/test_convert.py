"""DICOM series through the command line: phantom, SUV, mask, and back to DICOM."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from common.cli.main import main
from common.demo.phantom.phantom import make_phantom
from common.dicom.reading import find_images
from common.grandchallenge.images import read_image
from tests.support.dicom_phantoms import GE, PHILIPS_SUV, SIEMENS, Manner, write_ct, write_pet

SHAPE, SPACING = (20, 30, 32), (6.0, 4.0, 4.0)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path, GE)


def write_study(tmp_path: Path, manner: Manner) -> Path:
    phantom = make_phantom(1, SHAPE, SPACING)
    write_pet(tmp_path / "study/pet", phantom.pet, phantom.geometry, manner)
    write_ct(tmp_path / "study/ct", np.round(phantom.ct), phantom.geometry)
    return tmp_path / "study"


def arguments(study: Path, output: Path, model: Path) -> list[str]:
    folders = ["--input", str(study), "--output", str(output), "--model", str(model)]
    return ["run", "autopet_interactive", *folders]


@pytest.mark.parametrize("manner", [SIEMENS, GE, PHILIPS_SUV], ids=["Siemens", "GE", "Philips"])
def test_a_converted_case_has_the_phantoms_suv_and_hu(
    manner: Manner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(tmp_path, manner)
    assert main(["convert", str(study), "--output", str(tmp_path / "case")]) == 0
    phantom = make_phantom(1, SHAPE, SPACING)
    pet = read_image(tmp_path / "case/images/pet/study.mha")
    np.testing.assert_allclose(pet.voxels, phantom.pet, atol=1e-3)
    np.testing.assert_array_equal(
        read_image(tmp_path / "case/images/ct/study.mha").voxels, np.round(phantom.ct)
    )
    assert pet.geometry.origin == pytest.approx(phantom.geometry.origin, abs=1e-3)
    assert f"the case: {tmp_path / 'case'}" in capsys.readouterr().out


def test_the_mask_of_dicom_series_is_that_of_the_converted_case_and_comes_back_from_dicom(
    study: Path, golden_model: Path, tmp_path: Path
) -> None:
    main(["convert", str(study), "--output", str(tmp_path / "case")])
    assert main(arguments(tmp_path / "case", tmp_path / "expected", golden_model)) == 0
    output = tmp_path / "output"
    assert main([*arguments(study, output, golden_model), "--dicom", "seg", "--dicom", "rtstruct"]) == 0
    path = Path("images/tumor-lesion-segmentation/study.mha")
    assert (output / path).read_bytes() == (tmp_path / "expected" / path).read_bytes()
    mask = read_image(output / path).voxels
    assert mask.any()
    uids = [plane.instance.header.SOPInstanceUID for plane in find_images(study)["pet"].slices]
    read = highdicom.seg.segread(output / "dicom/seg.dcm")
    np.testing.assert_array_equal(read.get_pixels_by_source_instance(uids, combine_segments=True), mask)
    structures = pydicom.dcmread(output / "dicom/rtstruct.dcm")
    assert len(structures.ROIContourSequence[0].ContourSequence) >= mask.any(axis=(1, 2)).sum()


def test_sockets_of_dicom_instances_are_read_the_same_way(
    study: Path, golden_model: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case/images"
    case.mkdir(parents=True)
    for name in ("pet", "ct"):
        (case / name).symlink_to(study / name)
    assert main([*arguments(case.parent, tmp_path / "sockets", golden_model), "--dicom", "seg"]) == 0
    assert main(arguments(study, tmp_path / "series", golden_model)) == 0
    found, expected = (
        read_image(next((tmp_path / name / "images").glob("*/*.mha"))).voxels
        for name in ("sockets", "series")
    )
    np.testing.assert_array_equal(found, expected)
    assert (tmp_path / "sockets/dicom/seg.dcm").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--series", "1.2"], "--series is of a folder of DICOM series"),
        (["--dicom", "seg"], "--dicom needs a PET"),
    ],
)
def test_options_about_dicom_need_dicom(
    options: list[str],
    message: str,
    golden_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["phantom", "--output", str(tmp_path), "--shape", "20", "30", "32", "--spacing", "6", "4", "4"])
    assert main([*arguments(tmp_path / "input", tmp_path / "output", golden_model), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(tmp_path / "none"), "--output", str(tmp_path / "case")]) == 2
    assert "no such folder" in capsys.readouterr().err
