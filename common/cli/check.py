"""`petct check`: an output folder, or an image's archive, as the platform sees it."""

import argparse
import logging
from pathlib import Path

from common.cli.arguments import add_algorithm, add_folders
from common.grandchallenge.check import check_output
from common.grandchallenge.image_archive import check_image
from common.model.interface import interface_of
from common.model.reading import read_model

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to check: `output`, with the folders of one run, or `image`, with its archive."""
    kinds = parser.add_subparsers(title="what", required=True, metavar="WHAT")
    output = kinds.add_parser("output", help="a run's mask", description="Check an output folder.")
    add_algorithm(output)
    add_folders(output, input=Path("/input"), output=Path("/output"))
    output.add_argument(
        "--model", type=Path, metavar="DIR", help="model folder whose sockets count, where it has its own"
    )
    output.set_defaults(check=_check_output)
    image = kinds.add_parser("image", help="what docker save wrote", description="Check an image's archive.")
    image.add_argument("archive", type=Path, metavar="ARCHIVE", help=".tar or .tar.gz")
    image.set_defaults(check=_check_image)


def execute(arguments: argparse.Namespace) -> None:
    """Say what the platform would take; raises as `check_output` and `check_image`."""
    arguments.check(arguments)


def _check_output(arguments: argparse.Namespace) -> None:
    name, folder = arguments.algorithm, arguments.model
    interface = interface_of(name, read_model(folder, name) if folder else None)
    logger.info("the platform takes %s", check_output(arguments.input, arguments.output, interface))


def _check_image(arguments: argparse.Namespace) -> None:
    logger.info("the platform takes %s", check_image(arguments.archive))
