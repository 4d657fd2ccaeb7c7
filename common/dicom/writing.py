"""Masks as DICOM objects, of either kind."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.dicom.reading import DicomImage
from common.dicom.segmentation import write_segmentation
from common.dicom.structures import write_structures
from common.errors import InputError, MachineError

Kind = Literal["seg", "rtstruct"]
Write = Callable[[NDArray[np.uint8], DicomImage, Sequence[str], str, Path], Path]

WRITERS: Mapping[Kind, Write] = {"seg": write_segmentation, "rtstruct": write_structures}


def write_dicom(
    kind: Kind,
    mask: NDArray[np.uint8],
    image: DicomImage,
    labels: Sequence[str],
    algorithm: str,
    folder: Path,
) -> Path:
    """Write the labels 1 to n of a mask (z, y, x) on a series' grid as `folder/KIND.dcm`, which is returned.

    Raises `InputError` for a folder that cannot be written, and `MachineError` where a package is missing.
    """
    path = folder / f"{kind}.dcm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return WRITERS[kind](mask, image, labels, algorithm, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a folder that can be written") from error
    except ModuleNotFoundError as error:
        raise MachineError(f"{error.name} is not installed; pip install '.[dicom]' in a checkout") from error
