"""`petct run`: one case from the platform's folders, or of DICOM series, through an algorithm and back."""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np

from common.cli.arguments import add_algorithm, add_case_folders, add_settings, given_settings
from common.cli.convert import add_series
from common.dicom.reading import DicomImage, find_images, open_only_series
from common.dicom.writing import WRITERS, write_dicom
from common.errors import InputError
from common.grandchallenge import metaimage
from common.grandchallenge.dicom_case import is_study, write_case
from common.grandchallenge.images import find_image
from common.model.interface import interface_of
from common.model.reading import read_model
from common.model.settings import Values
from common.session import Session, summary

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, the platform's folders, what is about DICOM, and the settings."""
    add_algorithm(parser)
    add_case_folders(parser)
    add_series(parser)
    parser.add_argument(
        "--dicom",
        action="append",
        default=[],
        choices=tuple(WRITERS),
        help="write the mask of a DICOM PET as DICOM, too, to dicom/ in the output; may be given twice",
    )
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Segment the case; the log's last line says how long it took, and where the mask is."""
    source: Path = arguments.input
    if source.is_dir() and is_study(source):
        images = find_images(source, arguments.series)
        with tempfile.TemporaryDirectory() as folder:
            write_case(images, Path(folder), source.resolve().name)
            mask = _run(arguments, Path(folder), images["pet"])
    else:
        if arguments.series:
            raise InputError(f"{source}: --series is of a folder of DICOM series; leave it out")
        mask = _run(arguments, source)
    logger.info("%s", summary(mask, arguments.start))


def run(
    name: str,
    input_dir: Path,
    output_dir: Path,
    model_dir: Path,
    arguments: Values | None = None,
    start: float | None = None,
) -> Path:
    """Segment the case in `input_dir` and return the mask's path under `output_dir`.

    `arguments` are the settings of the command line; the time limit counts from `start`, on
    `time.monotonic`'s clock, or from now. Raises as `Session` and `Session.segment`.
    """
    start = time.monotonic() if start is None else start
    return Session(name, model_dir, arguments).segment(input_dir, output_dir, start)


def _run(arguments: argparse.Namespace, input_dir: Path, pet: DicomImage | None = None) -> Path:
    """Segment the case, and write the mask as DICOM where that is wanted."""
    name, output = arguments.algorithm, arguments.output
    if arguments.dicom and pet is None:
        pet = _reference(name, input_dir, arguments.model)
    mask = run(name, input_dir, output, arguments.model, given_settings(arguments), arguments.start)
    if arguments.dicom and pet:
        voxels, _ = metaimage.read(mask, np.uint8)
        labels = interface_of(name, read_model(arguments.model, name)).mask.labels
        for kind in arguments.dicom:
            logger.info("%s: %s", kind, write_dicom(kind, voxels, pet, labels, name, output / "dicom"))
    return mask


def _reference(name: str, input_dir: Path, model_dir: Path) -> DicomImage:
    """The DICOM series in the reference's socket."""
    socket = interface_of(name, read_model(model_dir, name)).reference
    path = find_image(input_dir / socket.relative_path)
    if not path.is_dir():
        raise InputError(
            f"{path}: --dicom needs a PET that is a DICOM series; leave it out, or give that one"
        )
    return open_only_series(path)
