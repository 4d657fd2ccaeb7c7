from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from common.dicom.reading import find_images
from tests.support import dicom_phantoms as dicom
from tests.support.dicom_phantoms import MINUTES, Edit, Manner, write_pet
from tests.support.platform import GRID, OBLIQUE, refused

Suv = NDArray[np.float32]


def read(folder: Path) -> Any:
    return find_images(folder)["pet"].voxels()


@pytest.fixture
def grid(suv: Suv) -> Any:
    from common.geometry import Geometry

    return Geometry((7, 6, 9), (2.0, 2.5, 3.0), (-10.0, 5.0, 20.0), OBLIQUE)


@pytest.mark.parametrize(
    "manner",
    [dicom.SIEMENS, dicom.GE, dicom.PHILIPS_SUV, dicom.PHILIPS_ACTIVITY, dicom.GML],
    ids=["Siemens", "GE", "Philips SUV", "Philips activity", "GML"],
)
def test_suv_is_that_of_the_phantom_in_every_vendors_manner(
    manner: Manner, suv: Suv, grid: Any, tmp_path: Path
) -> None:
    write_pet(tmp_path, suv, grid, manner)
    np.testing.assert_allclose(read(tmp_path), suv, atol=1e-3)


def _start(moment: str) -> Edit:
    def edit(header: Dataset) -> None:
        drug = header.RadiopharmaceuticalInformationSequence[0]
        del drug.RadiopharmaceuticalStartTime
        drug.RadiopharmaceuticalStartDateTime = moment

    return edit


def _drug(**attributes: Any) -> Edit:
    def edit(header: Dataset) -> None:
        for name, value in attributes.items():
            setattr(header.RadiopharmaceuticalInformationSequence[0], name, value)

    return edit


def test_the_start_may_be_a_date_and_time(suv: Suv, grid: Any, tmp_path: Path) -> None:
    write_pet(tmp_path, suv, grid, dicom.SIEMENS, _start("20260302130000.000000+0100"))
    np.testing.assert_allclose(read(tmp_path), suv, atol=1e-3)


def test_an_injection_before_midnight_was_on_the_day_before(suv: Suv, grid: Any, tmp_path: Path) -> None:
    times = {"SeriesTime": "003200", "AcquisitionTime": "003200"}
    write_pet(tmp_path, suv, grid, dicom.SIEMENS, _drug(RadiopharmaceuticalStartTime="233000"), **times)
    assert MINUTES == 62
    np.testing.assert_allclose(read(tmp_path), suv, atol=1e-3)


def test_decay_that_is_corrected_to_the_injection_counts_no_more(suv: Suv, grid: Any, tmp_path: Path) -> None:
    write_pet(tmp_path, suv * dicom.LEFT, grid, dicom.SIEMENS, DecayCorrection="ADMIN")
    np.testing.assert_allclose(read(tmp_path) / dicom.LEFT, suv * dicom.LEFT, atol=1e-3)


def test_of_a_series_processed_later_the_earliest_slice_counts(suv: Suv, grid: Any, tmp_path: Path) -> None:
    write_pet(tmp_path, suv, grid, dicom.SIEMENS, SeriesTime="180000")
    np.testing.assert_allclose(read(tmp_path), suv, atol=1e-3)


def test_slices_of_an_enhanced_image_are_read(suv: Suv, grid: Any, tmp_path: Path) -> None:
    dicom.write_enhanced_pet(tmp_path, suv, grid)
    np.testing.assert_allclose(read(tmp_path), suv, atol=1e-3)


@pytest.mark.parametrize(
    ("edit", "attributes", "message"),
    [
        (None, {"PatientWeight": None}, "PatientWeight is None, expected a number of kg above 0"),
        (None, {"PatientWeight": "0"}, "PatientWeight is '0', expected a number of kg above 0"),
        (
            None,
            {"RadiopharmaceuticalInformationSequence": []},
            "RadiopharmaceuticalInformationSequence is missing",
        ),
        (_drug(RadionuclideTotalDose=None), {}, "RadionuclideTotalDose is None, expected a number of Bq"),
        (_drug(RadionuclideTotalDose="310"), {}, "RadionuclideTotalDose is 310, expected Bq, 1e+06 or more"),
        (_drug(RadionuclideHalfLife=None), {}, "RadionuclideHalfLife is None"),
        (_drug(RadiopharmaceuticalStartTime="140300"), {}, "is after the scan (2026-03-02 14:02:00)"),
        (_drug(RadiopharmaceuticalStartTime=""), {}, "RadiopharmaceuticalStartTime is missing"),
        (
            _drug(RadiopharmaceuticalStartTime="250000"),
            {},
            "RadiopharmaceuticalStartTime is '20260302250000', expected a",
        ),
        (_start("20260302150000"), {}, "the injection (2026-03-02 15:00:00) is after the scan"),
        (_start("20250302130000"), {}, "over 10 half-lives passed"),
        (None, {"DecayCorrection": "NONE"}, "DecayCorrection is 'NONE', expected START or ADMIN"),
        (None, {"CorrectedImage": ["DECY"]}, "not corrected for attenuation (no ATTN in CorrectedImage)"),
        (None, {"CorrectedImage": ["ATTN"]}, "not corrected for decay"),
        (None, {"Units": "CNTS"}, "Philips' factors (7053,1000), (7053,1009) are missing"),
        (None, {"Units": "PROPCPS"}, "Units is 'PROPCPS', expected BQML, GML, or CNTS of Philips"),
        (None, {"Units": None}, "neither Units nor a real-world value mapping"),
        (None, {"Units": "GML", "SUVType": "LBM"}, "SUVType is 'LBM', expected BW"),
        (
            None,
            dict.fromkeys(("SeriesTime", "AcquisitionTime"), ""),
            "SeriesTime and AcquisitionTime are missing",
        ),
    ],
    ids=lambda value: None if callable(value) or isinstance(value, dict) else str(value)[:40],
)
def test_what_cannot_be_suv_is_refused_by_name(
    edit: Edit | None, attributes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    edits = [edit] if edit else []
    write_pet(tmp_path, np.ones(GRID.shape), GRID, dicom.SIEMENS, *edits, **attributes)
    with refused(tmp_path, message):
        find_images(tmp_path)
