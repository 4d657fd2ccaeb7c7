"""`petct convert`: DICOM series as a case in the platform's layout."""

import argparse
import logging
from pathlib import Path

from common.dicom.reading import find_images
from common.errors import InputError
from common.grandchallenge.dicom_case import write_case

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of series, and where the case goes."""
    parser.add_argument("dicom", type=Path, metavar="DICOM", help="folder with a PET series, and a CT's")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the case's input folder")
    add_series(parser)


def add_series(parser: argparse.ArgumentParser) -> None:
    """`--series`, for a folder with several of one modality."""
    parser.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="of a PET or CT series, where there are several; may be given twice",
    )


def execute(arguments: argparse.Namespace) -> None:
    """Write the case; raises as `find_images` and `write_case`."""
    folder: Path = arguments.dicom
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the DICOM files")
    images = find_images(folder, arguments.series)
    for name, image in images.items():
        logger.info("%s: %s, %s", name, image.series, image.geometry)
    write_case(images, arguments.output, folder.resolve().name)
    logger.info("the case: %s", arguments.output)
