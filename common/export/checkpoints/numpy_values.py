"""Stand for NumPy's classes in a pickle from a stranger, and give plain Python values.

NumPy's own believe what a pickle says of their memory: a changed state for `numpy.dtype` crashes the process.
"""

import pickle
import re
from typing import Any

import numpy as np


class RefusedError(pickle.UnpicklingError):
    """The pickle asks for more than data."""


class DType:
    """For `numpy.dtype`: a type of numbers, booleans or strings."""

    def __init__(self, name: str, *_: object) -> None:
        if not re.fullmatch(r"[biufcSU]\d{1,6}", name):
            raise RefusedError(f"an array of NumPy's type {name}")
        self.type = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        self.type = self.type.newbyteorder(state[1])


class Array(list[Any]):
    """For `numpy.ndarray`: its values, in lists."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.extend(self.values(data, dtype, shape or (1,), "F" if is_fortran else "C"))

    @classmethod
    def values(cls, data: bytes, dtype: DType, shape: tuple[int, ...] = (), order: Any = "C") -> Any:
        """What `numpy.core.numeric._frombuffer` gives: numbers in lists, or a number for no shape."""
        return np.ndarray(shape, dtype.type, data, order=order).tolist()

    @classmethod
    def scalar(cls, dtype: DType, data: bytes) -> Any:
        """What `numpy.core.multiarray.scalar` gives: a number or string."""
        return cls.values(data, dtype)
