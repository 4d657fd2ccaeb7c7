"""Failures that are not bugs, each with the exit code that the command line gives it.

A message is one line: which file, what was found, what was expected, what to do.
"""

from typing import ClassVar


class PetctError(Exception):
    """A failure the user can act on; printed as one line, without a traceback."""

    exit_code: ClassVar[int]


class InputError(PetctError):
    """The case is wrong: an image, a click file, or where the mask should go."""

    exit_code = 2


class ModelError(PetctError):
    """The checkpoint or the model folder is wrong."""

    exit_code = 3


class MachineError(PetctError):
    """The machine could not: memory, a device, or a missing engine."""

    exit_code = 4
