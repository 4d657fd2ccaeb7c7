"""`petct completion`: what a shell needs to complete petct's commands and options."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from common.cli.commands import whole_parser
from common.errors import MachineError

SHELLS = ("bash", "zsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="e.g. source <(petct completion bash)")


def execute(arguments: argparse.Namespace) -> None:
    """Print the script for the shell; raises `MachineError` without shtab."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise MachineError("shtab is not installed; pip install '.[completion]' in a checkout") from error
    parser = whole_parser()
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    sys.stdout.write(shtab.complete(parser, shell=arguments.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument, of commands within commands, too."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
