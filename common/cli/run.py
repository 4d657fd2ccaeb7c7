"""`petct run`: one case from the platform's folders through an algorithm and back."""

import argparse
import logging
import time
from pathlib import Path

from common.cli.arguments import add_algorithm, add_case_folders, add_settings, given_settings
from common.model.settings import Values
from common.session import Session, summary

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, the platform's folders, and the settings."""
    add_algorithm(parser)
    add_case_folders(parser)
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Segment the case; the log's last line says how long it took, and where the mask is."""
    folders = (arguments.input, arguments.output, arguments.model)
    mask = run(arguments.algorithm, *folders, given_settings(arguments), arguments.start)
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
