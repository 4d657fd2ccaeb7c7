"""Reads a pickle from a stranger as data; nnU-Net's first generation keeps its plans in one.

Of the names that a pickle may import and call, all but a few harmless ones are refused.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from textwrap import shorten
from typing import Any

from common.errors import ModelError
from common.export.checkpoints.numpy_values import Array, DType, RefusedError
from common.export.checkpoints.trial import Limits, read_within
from common.memory import MIB

MAX_BYTES = 32 * MIB
"""A plan of a thousand cases takes a tenth of this."""
LIMITS = Limits(memory=512 * MIB, seconds=3)
MALFORMED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError),
    SystemError,  # NumPy's, for strings of no characters
)
"""What the unpickler raises for a file that is damaged, or no pickle."""


# A pickle can set attributes of what it finds here: of these, none that anything uses.
ADMITTED: dict[str, Any] = {
    "_codecs.encode": str.encode,
    "builtins.bytes": bytes,
    "builtins.frozenset": frozenset,
    "builtins.set": set,
    "collections.OrderedDict": OrderedDict,
    "numpy.dtype": DType,
    "numpy.ndarray": None,  # an argument of the next, which does not need it
    "numpy.core.multiarray._reconstruct": Array,
    "numpy.core.multiarray.scalar": Array.scalar,
    "numpy.core.numeric._frombuffer": Array.values,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        today = {"__builtin__": "builtins"}.get(module, module.replace("numpy._core.", "numpy.core.", 1))
        if f"{today}.{name}" not in ADMITTED:
            raise RefusedError(f"the name {module}.{name}")
        return ADMITTED[f"{today}.{name}"]


def load(path: Path) -> Any:
    """Return the object that the pickle at `path` holds.

    Admitted are `dict`, `list`, `tuple`, `set`, `OrderedDict`, numbers, strings, bytes, and NumPy's arrays
    and scalars of these, which come back as lists and as Python's own, in every pickle protocol. Raises
    `ModelError` for anything else, which is neither imported nor run, and for a file that is broken, or
    takes more memory or time than plans do.
    """
    return read_within(LIMITS, read_without_limits, path)


def read_without_limits(path: Path) -> Any:
    """What `load` gives, whatever it takes."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{path}: {size} bytes, expected a pickle of at most {MAX_BYTES}")
        with path.open("rb") as file:
            return _Unpickler(file).load()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; expected a file of the training folder") from error
    except RefusedError as error:
        raise ModelError(
            f"{path}: the pickle holds {shorten(str(error), 100)}, expected only numbers, strings, "
            "containers and NumPy arrays; do not open this file with other tools"
        ) from error
    except MALFORMED as error:
        reason = shorten(str(error), 100)
        raise ModelError(f"{path}: not a whole pickle ({reason}); copy it again from the training") from error
