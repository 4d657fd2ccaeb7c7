"""A mask as DICOM SEG, a segment for each label, beside the series that it was found in.

Source: DICOM PS3.3 A.51 (Segmentation IOD), written by highdicom.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.dicom.reading import DicomImage

MANUFACTURER = "petct"
SERIES_NUMBER = 900


def write_segmentation(
    mask: NDArray[np.uint8], image: DicomImage, labels: Sequence[str], algorithm: str, path: Path
) -> Path:
    """Write the labels 1 to n of a mask (z, y, x) on the image's grid, whose slices it refers to.

    A label's code is SNOMED's "lesion" (52988006), a morphologically abnormal structure, whatever its name.
    Frames without a voxel are left out.
    """
    import highdicom
    from highdicom.seg import SegmentationTypeValues, SegmentDescription
    from highdicom.sr.coding import CodedConcept
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    identified = highdicom.AlgorithmIdentificationSequence(
        name=algorithm, version=version("petct"), family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=CodedConcept("52988006", "SCT", "Lesion"),
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=identified,
        )
        for number, label in enumerate(labels, start=1)
    ]
    frames = image.is_enhanced
    document = highdicom.seg.Segmentation(
        source_images=[image.slices[0].instance.header] if frames else image.headers,
        pixel_array=mask[image.frame_order] if frames else mask,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=algorithm,
        software_versions=version("petct"),
        device_serial_number="0",
        series_description=f"{algorithm}: lesions",
        omit_empty_frames=bool(mask.any()),
    )
    document.save_as(path)
    return path
