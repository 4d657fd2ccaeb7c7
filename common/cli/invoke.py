"""`petct invoke`: call a `petct serve` as the platform does."""

import argparse
import logging

from common.cli.arguments import add_address
from common.grandchallenge.invoking import invoke

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to call."""
    add_address(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Wait until it is healthy, and have the case that lies in its input folder worked on."""
    logger.info("%s", invoke(arguments.host, arguments.port))
