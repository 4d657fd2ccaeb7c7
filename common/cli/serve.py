"""`petct serve`: one case after the other, by the platform's HTTP calls."""

import argparse
import logging

from common.cli.arguments import add_address, add_algorithm, add_case_folders, add_settings, given_settings
from common.grandchallenge.serving import serve
from common.session import Session, summary

logger = logging.getLogger(__name__)

WARM_UP_SECONDS = 240.0
"""From the command's start; the platform waits 300 s until an answer says healthy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, the platform's folders, where to listen, and the settings."""
    add_algorithm(parser)
    add_case_folders(parser)
    add_address(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Answer until a signal comes."""
    healthy_by = arguments.start + WARM_UP_SECONDS
    serve(SessionCases(arguments, healthy_by), arguments.host, arguments.port, healthy_by)


class SessionCases:
    """The cases that lie in the input folder, one after the other; warm when `healthy_by` has come."""

    def __init__(self, arguments: argparse.Namespace, healthy_by: float) -> None:
        self._arguments = arguments
        self._healthy_by = healthy_by

    def prepare(self) -> str:
        """The model is read, and the engines warm up."""
        given = self._arguments
        self._session = Session(given.algorithm, given.model, given_settings(given), keep=True)
        return self._session.warm_up(self._healthy_by)

    def work(self, start: float) -> str:
        """The mask is written; the line says how long it took, and where it is."""
        mask = self._session.segment(self._arguments.input, self._arguments.output, start)
        line = summary(mask, start)
        logger.info("%s", line)
        return line
