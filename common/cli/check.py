"""`petct check`: an output folder as the platform sees it."""

import argparse
import logging
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_algorithm, add_folders
from common.grandchallenge.check import check_output
from common.grandchallenge.interface import Interface

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, and the folders of one run."""
    add_algorithm(parser)
    add_folders(parser, input=Path("/input"), output=Path("/output"))


def execute(arguments: argparse.Namespace) -> None:
    """Say which mask the platform would take; raises as `check_output`."""
    interface = Interface.load(algorithms.interface_path(arguments.algorithm))
    logger.info("the platform takes %s", check_output(arguments.input, arguments.output, interface))
