"""`petct run`: one case from the platform's folders through an algorithm and back."""

import argparse
import logging
import time
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_algorithm, add_folders, add_settings, given_settings
from common.errors import InputError, ModelError
from common.grandchallenge.interface import Interface
from common.grandchallenge.reading import read_case
from common.grandchallenge.writing import check_destination, prepare_folder, write_mask
from common.inference.options import Options
from common.memory import MIB, peak_memory
from common.model.interface import interface_of
from common.model.model import Model
from common.model.reading import read_model
from common.model.settings import MODEL_PLACE, Values, as_options, choose, describe, require_folds

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The algorithm, the platform's folders, and the settings."""
    add_algorithm(parser)
    add_folders(parser, input=Path("/input"), output=Path("/output"), model=Path("/opt/ml/model"))
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Segment the case; the log's last line says how long it took, and where the mask is."""
    folders = (arguments.input, arguments.output, arguments.model)
    path = run(arguments.algorithm, *folders, given_settings(arguments), arguments.start)
    seconds = time.monotonic() - arguments.start
    logger.info("done: %.1f s, peak memory %d MiB, %s", seconds, peak_memory() // MIB, path)


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
    `time.monotonic`'s clock, or from now. Raises a `PetctError` for everything the user can correct, wherever
    possible before the long work.
    """
    start = time.monotonic() if start is None else start
    model = read_model(model_dir, name)
    interface = interface_of(name, model)
    destination = output_dir / interface.mask.relative_path
    prepare_folder(destination)
    options = _options(arguments or {}, model, interface, start)
    case = read_case(input_dir, interface)
    check_destination(destination, case.stem, case.geometry)
    mask = algorithms.segmenter(name).segment(case, model, options)
    return write_mask(mask, case.geometry, destination, case.stem)


def _options(arguments: Values, model: Model, interface: Interface, start: float) -> Options:
    """The settings of all places, named in one line of the log."""
    values, origins = choose(arguments, model.run, interface.run)
    at_fault = ModelError if origins.get("folds") == MODEL_PLACE else InputError
    require_folds(values, model.fold_names, at_fault)
    logger.info("%s", describe(values, origins))
    return as_options(values, start)
