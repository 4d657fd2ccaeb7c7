"""Reading a torch file from a stranger: tensors, plain containers and NumPy numbers, nothing that runs.

torch's reader of pickles is safe from code, not from a few bytes that ask for any memory and time.
"""

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from common.errors import ModelError
from common.export.checkpoints.numpy_values import Array, DType
from common.export.checkpoints.trial import Limits, read_within
from common.memory import GIB, MIB

MEMORY = GIB
"""Besides the file's size, for what is no tensor: a checkpoint's names and logs take a few MiB."""
SECONDS = 4
SLOWEST_READING = 50 * MIB
"""Bytes in a second of the processor, of a checkpoint that cannot be mapped."""

# nnU-Net logs its losses and Dice values as NumPy numbers. NumPy 1 wrote them under another name.
NUMPY_NUMBERS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (Array.scalar, "numpy._core.multiarray.scalar"),
    (Array.scalar, "numpy.core.multiarray.scalar"),
    (DType, "numpy.dtype"),
]

# What torch's reader raises for a file that is cut short or altered, besides what it refuses itself. It
# checks little before use: altering files at random gave every one of these.
DAMAGED = (
    *(RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(struct.error, zipfile.BadZipFile),
)


def load_safely(path: Path) -> object:
    """What `torch.save` wrote to `path`, with tensors on the CPU, mapped from the file where it allows that.

    Raises `ModelError` for a file that is missing, damaged, takes more memory or time than its size explains,
    or names a type outside torch's safe ones and NumPy's numbers; nothing of such a file is run.
    """
    size = path.stat().st_size if path.is_file() else 0
    return read_within(Limits(MEMORY + size, SECONDS + size // SLOWEST_READING), read_without_limits, path)


def read_without_limits(path: Path) -> object:
    """What `load_safely` gives, whatever it takes."""
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(NUMPY_NUMBERS):
            mappable = zipfile.is_zipfile(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file, expected a checkpoint; check --checkpoint") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: found {_refused(error)}, expected tensors and plain numbers only; "
            f"use a checkpoint as training left it"
        ) from error
    except MemoryError as error:
        raise ModelError(f"{path}: takes more memory than its size explains; copy it again") from error
    except DAMAGED as error:
        raise ModelError(
            f"{path}: damaged or no torch checkpoint ({type(error).__name__}); copy it again"
        ) from error


def _refused(error: pickle.UnpicklingError) -> str:
    name = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"the type {name[1]}" if name else "a pickle that is not allowed"
