"""petct's commands and their arguments."""

import argparse
from collections.abc import Container
from importlib import import_module
from typing import Protocol, cast

COMMANDS = {
    "run": "segment one case as the platform lays it out",
    "serve": "segment one case after the other by the platform's HTTP calls",
    "invoke": "call a server as the platform does",
    "export": "make a model folder from a training checkpoint",
    "settings": "show or change a model folder's settings",
    "engines": "show what this machine computes with",
    "doctor": "show what this machine lacks",
    "check": "check an output folder or an image as the platform does",
    "evaluate": "compare masks with truths",
    "convert": "make a case from DICOM series",
    "report": "show a mask and its lesions on a page",
    "view": "click on a case in the browser, and see its mask",
    "cohort": "segment many cases and sum them up",
    "phantom": "make synthetic PET/CT cases",
    "completion": "let a shell complete petct's commands",
}
"""Name, which is also the module's in this package, and what it does."""


class Command(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""
        ...

    def execute(self, arguments: argparse.Namespace) -> None:
        """Do what the command is for; `arguments.start` is when petct started (`time.monotonic`)."""
        ...


def whole_parser() -> argparse.ArgumentParser:
    """The parser with every command's arguments; `ModuleNotFoundError` where one is not there."""
    return parser_of(set(COMMANDS))


def parser_of(chosen: Container[str | None]) -> argparse.ArgumentParser:
    """The parser with the arguments of the commands chosen; the others' modules need not be there."""
    root = argparse.ArgumentParser(prog="petct", description="PET/CT segmentation for Grand Challenge.")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        parser = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        if name in chosen:
            command = cast(Command, import_module(f"{__package__}.{name}"))
            command.add_arguments(parser)
            parser.set_defaults(execute=command.execute)
    return root
