"""DICOM series as a case in the platform's layout."""

from collections.abc import Mapping
from pathlib import Path

import SimpleITK

from common.dicom.reading import DicomImage
from common.dicom.series import holds_dicom
from common.errors import InputError
from common.grandchallenge.inputs_json import FILE
from common.grandchallenge.itk import image_of

IMAGES = "images"


def is_study(folder: Path) -> bool:
    """Whether a folder holds DICOM series, and is no case in the platform's layout."""
    return not ((folder / IMAGES).exists() or (folder / FILE).exists()) and holds_dicom(folder)


def write_case(images: Mapping[str, DicomImage], case_dir: Path, name: str) -> None:
    """Write each image as `case_dir/images/IMAGE/NAME.mha`, in SUV or HU, as it lies in the patient.

    Raises `InputError` for pixels that cannot be decoded, and a folder that cannot be written.
    """
    for image_name, image in images.items():
        path = case_dir / IMAGES / image_name / f"{name}.mha"
        voxels = image.voxels()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            SimpleITK.WriteImage(image_of(voxels, image.geometry), str(path), useCompression=False)
        except (OSError, RuntimeError) as error:  # the latter is SimpleITK's
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"{path}: cannot be written ({reason}); give a folder with room") from error
