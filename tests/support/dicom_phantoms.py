"""A volume as DICOM PET or CT, in the manners of three vendors."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from common.geometry import Geometry

WEIGHT, DOSE, HALF_LIFE = 81.5, 3.1e8, 6586.2
"""kg, Bq, s."""
MINUTES = 62
"""From the injection to the scan."""
LEFT = 2 ** -(MINUTES * 60 / HALF_LIFE)
"""Of the dose, when the scan began."""
SUV_PER_ACTIVITY = WEIGHT * 1000 / (DOSE * LEFT)
STUDY = generate_uid()
FRAME_OF_REFERENCE = generate_uid()
PHILIPS = "Philips PET Private Group"
PHILIPS_FACTOR = 3.7e-4

Edit = Callable[[Dataset], None]


@dataclass(frozen=True)
class Manner:
    """How a vendor writes a PET; edits are made to every slice's header."""

    units: str = "BQML"
    per_unit: float = SUV_PER_ACTIVITY
    """SUV for a rescaled value of 1."""
    edits: tuple[Edit, ...] = field(default=())


def _ge(header: Dataset) -> None:
    """The series was processed hours later; when the scan began is kept in a private attribute."""
    header.SeriesTime = "170000"
    block = header.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", f"{header.SeriesDate}140200.00")


def _philips(header: Dataset) -> None:
    header.private_block(0x7053, PHILIPS, create=True).add_new(0x00, "DS", str(PHILIPS_FACTOR))


def _philips_activity(header: Dataset) -> None:
    header.private_block(0x7053, PHILIPS, create=True).add_new(0x09, "DS", "2.5")


SIEMENS = Manner()
GE = Manner(edits=(_ge,))
PHILIPS_SUV = Manner("CNTS", PHILIPS_FACTOR, (_philips,))
PHILIPS_ACTIVITY = Manner("CNTS", 2.5 * SUV_PER_ACTIVITY, (_philips_activity,))
GML = Manner("GML", 1.0)


def write_pet(
    folder: Path,
    suv: NDArray[Any],
    geometry: Geometry,
    manner: Manner = SIEMENS,
    *edits: Edit,
    **attributes: Any,
) -> list[Path]:
    """A file for each slice of SUV (z, y, x), in no order; `attributes` are set last."""
    return _write(
        folder, suv / manner.per_unit, geometry, "PT", [*manner.edits, *edits], manner.units, attributes
    )


def write_ct(
    folder: Path, hu: NDArray[Any], geometry: Geometry, *edits: Edit, **attributes: Any
) -> list[Path]:
    """A file for each slice of HU (z, y, x), in no order."""
    return _write(folder, hu, geometry, "CT", edits, "", attributes)


def write_enhanced_pet(folder: Path, suv: NDArray[Any], geometry: Geometry) -> Path:
    """All slices as frames of one file, the last first."""
    planes = np.asarray(suv / SUV_PER_ACTIVITY, np.float64)[::-1]
    slope = float(planes.max()) / 65535 or 1.0
    header = _header("PT", EnhancedPETImageStorage, {})
    header.AttenuationCorrected = header.DecayCorrected = "YES"
    del header.CorrectedImage
    header.update(_radiopharmaceutical())
    header.NumberOfFrames = len(planes)
    _set_pixels(header, np.round(planes / slope).astype(np.uint16), 0)
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    mapping, shared = Dataset(), Dataset()
    mapping.MeasurementUnitsCodeSequence = [unit]
    measures, orientation, rescale = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
    measures.SliceThickness = geometry.spacing[2]
    axes = np.reshape(geometry.direction, (3, 3))
    orientation.ImageOrientationPatient = [_decimal(value) for value in (*axes[:, 0], *axes[:, 1])]
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = _decimal(slope), "0", "US"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence, shared.RealWorldValueMappingSequence = [rescale], [mapping]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for index in reversed(range(len(planes))):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = _position(geometry, index)
        frame.PlanePositionSequence = [position]
        header.PerFrameFunctionalGroupsSequence.append(frame)
    folder.mkdir(parents=True, exist_ok=True)
    header.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced.dcm"


def _write(
    folder: Path,
    values: NDArray[Any],
    geometry: Geometry,
    modality: str,
    edits: Any,
    units: str,
    attributes: dict[str, Any],
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    kind = PositronEmissionTomographyImageStorage if modality == "PT" else CTImageStorage
    axes = np.reshape(geometry.direction, (3, 3))
    paths = []
    for index, plane in enumerate(np.asarray(values, np.float64)):
        header = _header(modality, kind, {"SeriesInstanceUID": series, "InstanceNumber": len(values) - index})
        header.ImagePositionPatient = _position(geometry, index)
        header.ImageOrientationPatient = [_decimal(value) for value in (*axes[:, 0], *axes[:, 1])]
        header.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
        header.SliceThickness = geometry.spacing[2]
        if modality == "PT":
            header.update(_radiopharmaceutical())
            header.Units = units
            header.DecayCorrection = "START"
            header.AcquisitionTime = f"14{2 + index // 20:02}00"
        low = 0.0 if modality == "PT" else -1024.0
        slope = (float(plane.max()) - low) / 32767 or 1.0
        slope = slope if modality == "PT" else 1.0
        header.RescaleSlope, header.RescaleIntercept = _decimal(slope), _decimal(low)
        stored = np.round((plane - low) / float(header.RescaleSlope))
        _set_pixels(header, stored.astype(np.int16), 1)
        for edit in edits:
            edit(header)
        for name, value in attributes.items():
            setattr(header, name, value)
        paths.append(folder / f"{random.Random(index).getrandbits(32):08x}")  # no order, no ending
        header.save_as(paths[-1], enforce_file_format=True)
    return paths


def _header(modality: str, kind: str, attributes: dict[str, Any]) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind  # type: ignore[assignment]
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    header.SOPClassUID, header.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    header.Modality, header.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.PatientName, header.PatientID, header.PatientSex = "Phantom^A", "phantom", "O"
    header.PatientBirthDate, header.PatientWeight, header.PatientSize = "19700101", str(WEIGHT), "1.75"
    header.StudyInstanceUID, header.StudyID = STUDY, "1"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20260302"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "140200"
    header.AccessionNumber = header.ReferringPhysicianName = header.PositionReferenceIndicator = ""
    header.SeriesInstanceUID, header.SeriesNumber, header.InstanceNumber = generate_uid(), 1, 1
    header.FrameOfReferenceUID = FRAME_OF_REFERENCE
    header.Manufacturer, header.SeriesDescription = "Phantom", f"{modality} of a phantom"
    header.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    for name, value in attributes.items():
        setattr(header, name, value)
    return header


def _radiopharmaceutical() -> Dataset:
    drug, header = Dataset(), Dataset()
    drug.RadiopharmaceuticalStartTime = "130000.00"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = str(DOSE), str(HALF_LIFE)
    header.RadiopharmaceuticalInformationSequence = [drug]
    return header


def _set_pixels(header: Dataset, stored: NDArray[Any], signed: int) -> None:
    header.Rows, header.Columns = stored.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, signed
    header.PixelData = stored.tobytes()


def _position(geometry: Geometry, index: int) -> list[str]:
    axes = np.reshape(geometry.direction, (3, 3))
    return [_decimal(value) for value in np.array(geometry.origin) + axes[:, 2] * geometry.spacing[2] * index]


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{value:.10g}"[:16]
