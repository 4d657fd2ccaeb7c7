"""Arguments that several commands take."""

import argparse
from collections.abc import Callable, Collection
from math import inf
from pathlib import Path
from typing import Any

from common import algorithms
from common.inference.engines.ladder import rungs
from common.model.settings import BY_NAME, Setting, Values, resolve


def add_algorithm(parser: argparse.ArgumentParser) -> None:
    """`ALGORITHM`, which may be left out where there is only one, as in an image."""
    names = algorithms.names()
    alone = names[0] if len(names) == 1 else None
    parser.add_argument(
        "algorithm",
        choices=names,
        metavar="ALGORITHM",
        nargs="?" if alone else None,
        default=alone,
        help="%(choices)s",
    )


def add_folders(parser: argparse.ArgumentParser, **defaults: Path) -> None:
    """A folder for each name, and its default."""
    for name, default in defaults.items():
        parser.add_argument(
            f"--{name}", type=Path, default=default, metavar="DIR", help="(default: %(default)s)"
        )


def add_case_folders(parser: argparse.ArgumentParser) -> None:
    """The platform's folders of a case, and the model's."""
    add_folders(parser, input=Path("/input"), output=Path("/output"), model=Path("/opt/ml/model"))


def add_address(parser: argparse.ArgumentParser) -> None:
    """Where a server listens, by default where the platform calls."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="(default: %(default)s)")
    parser.add_argument(
        "--port", type=number(int, 0, 65535), default=4743, metavar="N", help="(default: %(default)s)"
    )


def add_settings(
    parser: argparse.ArgumentParser, only: Collection[str] = tuple(BY_NAME), **other_help: str
) -> None:
    """Settings as arguments; one that is not given is not there after parsing."""
    group = parser.add_argument_group(
        "settings", "They win over PETCT_* variables, which win over the model."
    )
    for name in only:
        setting = BY_NAME[name]
        usual = f"{setting.help} (default: {setting.usual})"
        group.add_argument(
            setting.option,
            type=_parser_of(setting),
            default=argparse.SUPPRESS,
            metavar=setting.metavar,
            help=other_help.get(name, usual),
        )


def given_settings(arguments: argparse.Namespace) -> Values:
    """The settings among parsed arguments."""
    return {name: value for name, value in vars(arguments).items() if name in BY_NAME}


def require_possible(values: Values) -> None:
    """Raise `MachineError` where the settings choose an engine that never has the precision."""
    chosen, _ = resolve({"argument": values})
    rungs(chosen["engine"], chosen["precision"])


def number(kind: Callable[[str], float], minimum: float, maximum: float = inf) -> Callable[[str], float]:
    """What reads a finite number of those bounds from an argument."""

    def number(text: str) -> float:
        value = kind(text)
        if not minimum <= value <= maximum or value == inf:
            raise argparse.ArgumentTypeError(
                f"found {text}, expected a number from {minimum:g} to {maximum:g}"
            )
        return value

    return number  # argparse shows the function's name


def _parser_of(setting: Setting) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return setting.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse
