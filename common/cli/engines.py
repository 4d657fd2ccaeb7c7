"""`petct engines`: what this machine computes with."""

import argparse
import sys
from pathlib import Path

from common.cli.arguments import add_settings, given_settings
from common.inference.engines.pool import EnginePool
from common.inference.engines.report import describe_fitting, describe_machine, describe_rungs, describe_trial
from common.inference.estimate import estimate
from common.model.interface import interface_of
from common.model.reading import algorithm_of, read_model
from common.model.settings import choose, describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A model folder to try, and the settings that decide."""
    parser.add_argument("--model", type=Path, metavar="DIR", help="try the networks of this model folder")
    add_settings(parser, only=("engine", "precision"))


def execute(arguments: argparse.Namespace) -> None:
    """Print machine, packages and rungs, and which engine each network of the model gets, how fast."""
    folder: Path | None = arguments.model
    model = read_model(folder, algorithm_of(folder)) if folder else None
    places = (model.run, interface_of(model.algorithm, model).run) if model else ({},)
    values, origins = choose(given_settings(arguments), *places)
    choice = values["engine"], values["precision"]
    lines = (*describe_machine(), describe(values, origins), *describe_rungs(*choice))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    for network in model.networks if model else ():
        if network.folds[0].engines:
            sys.stdout.write(f"{describe_fitting(network.files(network.folds[0]))}\n")
        sys.stdout.write(f"{describe_trial(network.files(network.folds[0]), *choice)}\n")
        if network.plans:
            sys.stdout.write(f"{estimate(network, EnginePool(*choice))}\n")
