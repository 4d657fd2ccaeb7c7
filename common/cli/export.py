"""`petct export`: a training checkpoint as a model folder."""

import argparse
import logging
import time
from inspect import signature
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_algorithm, add_settings, given_settings, require_possible
from common.errors import InputError
from common.memory import MIB, peak_memory
from common.model.writing import write_run

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, where the model goes, and settings to go with it."""
    add_algorithm(parser)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder as training left it")
    parser.add_argument("--model", type=Path, required=True, help="model folder to write")
    parser.add_argument(
        "--plans", type=Path, metavar="FILE", help="plans as JSON, instead of the folder's (gepnet only)"
    )
    add_settings(parser, folds="folds to export (default: all found)")


def execute(arguments: argparse.Namespace) -> None:
    """Export the checkpoint, with the settings that were given."""
    given = given_settings(arguments)
    require_possible(given)
    exporter = algorithms.exporter(arguments.algorithm)
    plans = {} if arguments.plans is None else {"plans": arguments.plans}
    if plans and "plans" not in signature(exporter.export).parameters:
        raise InputError(
            f"--plans: {arguments.algorithm} reads its plans in the checkpoint's folder; leave --plans out"
        )
    exporter.export(arguments.checkpoint, arguments.model, given.get("folds"), **plans)
    write_run(arguments.model, given)
    seconds = time.monotonic() - arguments.start
    logger.info("exported: %.1f s, peak memory %d MiB, %s", seconds, peak_memory() // MIB, arguments.model)
