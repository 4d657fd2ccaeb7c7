"""`petct export`: a training checkpoint as a model folder."""

import argparse
import logging
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_algorithm, add_settings, given_settings, require_possible
from common.cli.gpu_options import add_gpu_options, compile_for_gpus, require_consistent
from common.errors import InputError
from common.memory import MIB, peak_memory
from common.model.writing import write_run

logger = logging.getLogger(__name__)

FILES = {
    "plans": ("plans as JSON, instead of the folder's", "reads its plans in the checkpoint's folder"),
    "interface": ("interface.json of your own, instead of the algorithm's", "has sockets of its own"),
}
"""Files that some algorithms' exports take: what each is, and why the others do without."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, where the model goes, and settings to go with it."""
    add_algorithm(parser)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder as training left it")
    parser.add_argument("--model", type=Path, required=True, help="model folder to write")
    for name, (text, _) in FILES.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    add_gpu_options(parser)
    add_settings(parser, folds="folds to export (default: all found)")


def execute(arguments: argparse.Namespace) -> None:
    """Export the checkpoint with the settings that were given, and compile it for GPUs where wanted."""
    given = given_settings(arguments)
    require_possible(given)
    require_consistent(arguments)
    export: Callable[..., None] = algorithms.exporter(arguments.algorithm).export
    files = {name: path for name in FILES if (path := getattr(arguments, name)) is not None}
    for name in files:
        if name not in signature(export).parameters:
            raise InputError(f"--{name}: {arguments.algorithm} {FILES[name][1]}; leave --{name} out")
    export(arguments.checkpoint, arguments.model, given.get("folds"), **files)
    write_run(arguments.model, given)
    compile_for_gpus(arguments)
    seconds = time.monotonic() - arguments.start
    logger.info("exported: %.1f s, peak memory %d MiB, %s", seconds, peak_memory() // MIB, arguments.model)
