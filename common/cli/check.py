"""`petct check`: an output folder as the platform sees it."""

import argparse
import logging
from pathlib import Path

from common.cli.arguments import add_algorithm, add_folders
from common.grandchallenge.check import check_output
from common.model.interface import interface_of
from common.model.reading import read_model

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, and the folders of one run."""
    add_algorithm(parser)
    add_folders(parser, input=Path("/input"), output=Path("/output"))
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="model folder whose sockets count, where it has its own"
    )


def execute(arguments: argparse.Namespace) -> None:
    """Say which mask the platform would take; raises as `check_output`, and `ModelError` for the model."""
    name, folder = arguments.algorithm, arguments.model
    interface = interface_of(name, read_model(folder, name) if folder else None)
    logger.info("the platform takes %s", check_output(arguments.input, arguments.output, interface))
