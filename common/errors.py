"""Failures that are not bugs, each with the exit code that the command line gives it.

A message is one line: which file, what was found, what was expected, what to do.
"""

from typing import ClassVar

MAX_MESSAGE = 1200
"""Characters, should a stranger's file bring in more than the message is for."""


class PetctError(Exception):
    """A failure the user can act on; printed as one line, without a traceback."""

    exit_code: ClassVar[int]

    def __str__(self) -> str:
        return _shortened(one_line(super().__str__()))


class InputError(PetctError):
    """The case is wrong: an image, a click file, or where the mask should go."""

    exit_code = 2


class ModelError(PetctError):
    """The checkpoint or the model folder is wrong."""

    exit_code = 3


class MachineError(PetctError):
    """The machine could not: memory, a device, or a missing engine."""

    exit_code = 4


def one_line(text: str) -> str:
    r"""A text for a message or the log, with what a terminal would act on escaped: `\n`, `\x1b`.

    File names come from strangers.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _shortened(text: str) -> str:
    half = MAX_MESSAGE // 2
    return text if len(text) <= MAX_MESSAGE else f"{text[:half]} … {text[-half:]}"
