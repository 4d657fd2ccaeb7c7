"""Masks as DICOM, read back by pydicom, highdicom, ITK and rt-utils."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from rt_utils import RTStructBuilder
from skimage.draw import polygon2mask

from common.dicom.reading import DicomImage, find_images
from common.dicom.writing import write_dicom
from common.geometry import Geometry
from tests.support.dicom_phantoms import write_enhanced_pet, write_pet
from tests.support.platform import IDENTITY, OBLIQUE, refused

Mask = NDArray[np.uint8]
LABELS = ("lesion", "inflammation")
SHAPE = (12, 20, 24)
GRIDS = {
    name: Geometry(SHAPE[::-1], (2.0, 2.5, 3.0), (-10.0, 5.0, 20.0), direction)
    for name, direction in (("axial", IDENTITY), ("oblique", OBLIQUE))
}


@pytest.fixture(scope="module")
def mask() -> Mask:
    """Random voxels, a block with a hole, a voxel at the corner; slices without any."""
    mask = (np.random.default_rng(1).random(SHAPE) > 0.9).astype(np.uint8)
    mask[3:5] = 0
    mask[6:9, 4:12, 5:15] = 1
    mask[7, 7:9, 8:11] = 0
    mask[0, 0, 0] = 1
    mask[10, 2:5, 2:5] = 2
    return mask


@pytest.fixture(params=list(GRIDS))
def grid(request: pytest.FixtureRequest) -> Geometry:
    return GRIDS[request.param]


@pytest.fixture(params=[write_pet, write_enhanced_pet], ids=["files", "frames"])
def image(request: pytest.FixtureRequest, grid: Geometry, tmp_path: Path) -> DicomImage:
    write: Callable[..., Any] = request.param
    write(tmp_path / "pet", np.random.default_rng(2).uniform(0, 9, SHAPE), grid)
    return find_images(tmp_path / "pet")["pet"]


def test_a_segmentation_has_the_masks_voxels_where_the_slices_are(
    mask: Mask, image: DicomImage, tmp_path: Path
) -> None:
    path = write_dicom("seg", mask, image, LABELS, "gepnet", tmp_path)
    read = highdicom.seg.segread(path)
    uids = [plane.instance.header.SOPInstanceUID for plane in image.slices]
    if image.is_enhanced:
        voxels = read.get_pixels_by_source_frame(
            uids[0], [(plane.frame or 0) + 1 for plane in image.slices], combine_segments=True
        )
    else:
        voxels = read.get_pixels_by_source_instance(uids, combine_segments=True)
    np.testing.assert_array_equal(voxels, mask)
    assert [read.get_segment_description(number).segment_label for number in (1, 2)] == list(LABELS)
    description = read.get_segment_description(1)
    assert (description.segmented_property_type.value, description.algorithm_type.value) == (
        "52988006",
        "AUTOMATIC",
    )
    identified = description.algorithm_identification
    assert identified
    assert identified.name == "gepnet"
    assert read.FrameOfReferenceUID == image.series.header.FrameOfReferenceUID
    assert read.StudyInstanceUID == image.series.header.StudyInstanceUID


def test_itk_finds_the_frames_at_the_slices_places(mask: Mask, image: DicomImage, tmp_path: Path) -> None:
    path = write_dicom("seg", (mask > 0).astype(np.uint8), image, LABELS[:1], "gepnet", tmp_path)
    read = SimpleITK.ReadImage(str(path))
    header = pydicom.dcmread(path)
    places = [
        frame.PlanePositionSequence[0].ImagePositionPatient
        for frame in header.PerFrameFunctionalGroupsSequence
    ]
    frames = SimpleITK.GetArrayFromImage(read) > 0
    assert len(frames) == len(places)
    by_place = {tuple(np.round(plane.position, 2)): index for index, plane in enumerate(image.slices)}
    for frame, place in zip(frames, places, strict=True):
        index = by_place[tuple(np.round([float(value) for value in place], 2))]
        np.testing.assert_array_equal(frame, mask[index] > 0)
        assert np.abs(np.array(place, float) - image.slices[index].position).max() < 1e-3
    measures = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(edge) for edge in measures.PixelSpacing] == pytest.approx([2.5, 2.0], abs=1e-3)


def test_structures_enclose_exactly_the_masks_voxels(mask: Mask, image: DicomImage, tmp_path: Path) -> None:
    document = pydicom.dcmread(write_dicom("rtstruct", mask, image, LABELS, "gepnet", tmp_path))
    assert [region.ROIName for region in document.StructureSetROISequence] == list(LABELS)
    for number, region in enumerate(document.ROIContourSequence, start=1):
        found = np.zeros(SHAPE, bool)
        for contour in region.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            indices = (points - image.geometry.origin) @ np.reshape(image.geometry.direction, (3, 3))
            column, row, slice_ = (indices / image.geometry.spacing).T
            index = round(float(slice_.mean()))
            assert np.abs(slice_ - index).max() < 1e-3
            reference = contour.ContourImageSequence[0]
            plane = image.slices[index]
            assert reference.ReferencedSOPInstanceUID == plane.instance.header.SOPInstanceUID
            found[index] ^= polygon2mask(SHAPE[1:], np.column_stack([row, column]))
        np.testing.assert_array_equal(found, mask == number)


def test_a_second_library_reads_the_structures(tmp_path: Path) -> None:
    shape = (12, 20, 20)  # it takes rows for columns
    write_pet(tmp_path / "pet", np.ones(shape), replace(GRIDS["axial"], size=shape[::-1], spacing=(2, 2, 3)))
    image = find_images(tmp_path / "pet")["pet"]
    block = np.zeros(shape, np.uint8)
    block[2:9, 4:12, 5:15] = 1
    path = write_dicom("rtstruct", block, image, LABELS[:1], "gepnet", tmp_path)
    read = RTStructBuilder.create_from(str(tmp_path / "pet"), str(path)).get_roi_mask_by_name("lesion")
    found = read.transpose(2, 0, 1)
    assert 2 * (found & (block > 0)).sum() / (found.sum() + block.sum()) > 0.85  # it rounds lines to voxels
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=(1, 2))), np.arange(2, 9))


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_a_validator_has_nothing_to_say(kind: Any, mask: Mask, image: DicomImage, tmp_path: Path) -> None:
    """`dciodvfy` of dicom3tools prints the object's name alone."""
    if shutil.which("dciodvfy") is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)("skipped: dciodvfy is not here")
    path = write_dicom(kind, mask, image, LABELS, "gepnet", tmp_path)
    said = subprocess.run(["dciodvfy", path], check=True, capture_output=True, text=True)
    assert (said.stdout + said.stderr).split() == ["Segmentation" if kind == "seg" else "RTStructureSet"]


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_an_empty_mask_is_written(kind: Any, image: DicomImage, tmp_path: Path) -> None:
    document = pydicom.dcmread(write_dicom(kind, np.zeros(SHAPE, np.uint8), image, LABELS[:1], "a", tmp_path))
    if kind == "seg":
        assert not document.pixel_array.any()
    else:
        assert len(document.ROIContourSequence[0].ContourSequence) == 0


def test_a_file_in_the_folders_place_is_refused(image: DicomImage, tmp_path: Path) -> None:
    (tmp_path / "dicom").touch()
    with refused(tmp_path / "dicom", "give a folder that can be written"):
        write_dicom("rtstruct", np.zeros(SHAPE, np.uint8), image, LABELS[:1], "a", tmp_path / "dicom")
