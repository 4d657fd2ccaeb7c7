"""A mask as DICOM RT structure set: closed contours in every slice, in the patient's coordinates.

Source: DICOM PS3.3 A.19 (RT Structure Set IOD), C.8.8.6 (ROI contours). Contours run half way between voxels,
so that exactly the mask's voxel centres are inside; a hole is a contour within another (exclusive or).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.dicom.reading import DicomImage
from common.dicom.volume import Slice

if TYPE_CHECKING:
    from pydicom import Dataset

COLOURS = ((228, 0, 43), (0, 160, 62), (0, 87, 184), (255, 209, 0))
SERIES_NUMBER = 901
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyDescription", "FrameOfReferenceUID", "PositionReferenceIndicator"),
)
"""Of the patient and the study, what the images say."""


def write_structures(
    mask: NDArray[np.uint8], image: DicomImage, labels: Sequence[str], algorithm: str, path: Path
) -> Path:
    """Write the labels 1 to n of a mask (z, y, x) on the image's grid as regions of interest."""
    from pydicom import Dataset
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(RT_STRUCTURE_SET)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    header = image.series.header
    for name in COPIED:
        setattr(document, name, header.get(name, ""))
    now = datetime.now()  # DICOM's times are local
    document.SOPClassUID = RT_STRUCTURE_SET
    document.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    document.Modality = "RTSTRUCT"
    document.SeriesInstanceUID = generate_uid()
    document.SeriesNumber = SERIES_NUMBER
    document.SeriesDescription = f"{algorithm}: lesions"
    document.Manufacturer = "petct"
    document.ManufacturerModelName = algorithm
    document.SoftwareVersions = version("petct")
    document.OperatorsName = ""
    document.StructureSetLabel = algorithm[:16]
    document.StructureSetDate = document.InstanceCreationDate = f"{now:%Y%m%d}"
    document.StructureSetTime = document.InstanceCreationTime = f"{now:%H%M%S}"
    document.ApprovalStatus = "UNAPPROVED"
    document.ReferencedFrameOfReferenceSequence = [_frame_of_reference(image)]
    document.StructureSetROISequence = []
    document.ROIContourSequence = []
    document.RTROIObservationsSequence = []
    for number, label in enumerate(labels, start=1):
        region = Dataset()
        region.ROINumber = number
        region.ReferencedFrameOfReferenceUID = header.FrameOfReferenceUID
        region.ROIName = label
        region.ROIGenerationAlgorithm = "AUTOMATIC"
        document.StructureSetROISequence.append(region)
        document.ROIContourSequence.append(_region(mask == number, image.slices, number))
        observation = Dataset()
        observation.ObservationNumber = number
        observation.ReferencedROINumber = number
        observation.RTROIInterpretedType = ""
        observation.ROIInterpreter = ""
        document.RTROIObservationsSequence.append(observation)
    document.save_as(path, enforce_file_format=True)
    return path


def _region(mask: NDArray[np.bool_], slices: Sequence[Slice], number: int) -> "Dataset":
    from pydicom import Dataset

    region = Dataset()
    region.ReferencedROINumber = number
    region.ROIDisplayColor = list(COLOURS[(number - 1) % len(COLOURS)])
    region.ContourSequence = []
    for plane, inside in zip(slices, mask, strict=True):
        for points in _contours(inside):
            contour = Dataset()
            contour.ContourImageSequence = [_reference(plane)]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{value:.4f}" for value in _in_patient(points, plane).ravel()]
            region.ContourSequence.append(contour)
    return region


def _contours(inside: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    """Closed lines around and within a slice's voxels (y, x): points (column, row), none repeated."""
    from contourpy import contour_generator

    if not inside.any():
        return
    padded = np.pad(inside, 1).astype(np.float64)
    for line in contour_generator(z=padded).lines(0.5):
        yield np.asarray(line)[:-1] - 1


def _in_patient(points: NDArray[np.float64], plane: Slice) -> NDArray[np.float64]:
    """Points (column, row) in mm (x, y, z)."""
    along_row, along_column = plane.orientation
    columns, rows = points[:, :1], points[:, 1:]
    return plane.position + columns * plane.spacing[1] * along_row + rows * plane.spacing[0] * along_column


def _reference(plane: Slice) -> "Dataset":
    from pydicom import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = plane.instance.header.SOPClassUID
    reference.ReferencedSOPInstanceUID = plane.instance.header.SOPInstanceUID
    if plane.frame is not None:
        reference.ReferencedFrameNumber = plane.frame + 1
    return reference


def _frame_of_reference(image: DicomImage) -> "Dataset":
    from pydicom import Dataset

    header: Any = image.series.header
    series = Dataset()
    series.SeriesInstanceUID = image.series.uid
    instances = {str(plane.path): plane for plane in image.slices}.values()
    series.ContourImageSequence = [_reference(plane) for plane in instances]
    for reference in series.ContourImageSequence:
        if "ReferencedFrameNumber" in reference:
            del reference.ReferencedFrameNumber
    study = Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # retired, but what readers expect
    study.ReferencedSOPInstanceUID = header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame
