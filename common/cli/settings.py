"""`petct settings`: what a model folder tells its runs."""

import argparse
import sys
from pathlib import Path

from common.cli.arguments import add_settings, given_settings, require_possible
from common.errors import InputError
from common.model.reading import algorithm_of, read_model
from common.model.settings import BY_NAME, model_settings, require_folds, shown
from common.model.writing import write_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model folder, and what to change."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("--clear", action="store_true", help="forget the present settings first")
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Change the settings that were given, and print all."""
    folder: Path = arguments.model
    model = read_model(folder, algorithm_of(folder))
    present = {} if arguments.clear else model_settings(model.run, str(folder / "model.json"))
    given = given_settings(arguments)
    require_folds(given, model.fold_names, InputError)
    values = present | given
    require_possible(values)
    if values != model.run:
        write_run(folder, values)
    for name, setting in BY_NAME.items():
        value = shown(name, values[name]) if name in values else "not set"
        sys.stdout.write(f"{setting.option.removeprefix('--'):12}{value}\n")
