"""Reads a pickle as data: containers, numbers, strings and NumPy arrays.

nnU-Net's first generation keeps its plans in a pickle, which may come from a stranger. Python's own unpickler
imports what a pickle names and calls it. Here a small stack machine interprets the opcodes and imports nothing: the
few names that plans hold stand for functions of this module, every other name is refused, and neither time nor
memory grows beyond what the file's size explains.
"""

import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError

MAX_BYTES = 32 * 2**20
"""A plan of a thousand cases takes a tenth of this."""

_ATOMS = (str, bytes, int, float, type(None), np.generic)
_DTYPE_NAME = re.compile(r"[biufcSU]\d{1,6}")


class _RefusedError(ValueError):
    """The pickle asks for more than data."""


class _Name:
    """A global that the pickle names, and what stands for it."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build


class _Unbuilt:
    """An object whose content follows in a BUILD opcode, as NumPy pickles its arrays and types."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.value: Any = self


def load(path: Path) -> Any:
    """The object that the pickle at `path` holds; raises `ModelError` for anything but plain data.

    Admitted are `dict`, `list`, `tuple`, `set`, `OrderedDict`, numbers, strings, bytes, and NumPy arrays and scalars of
    numbers, booleans and strings, in every pickle protocol. Arrays come back read-only.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{path}: {size} bytes, expected a plan of at most {MAX_BYTES}")
        return _Machine(path.read_bytes()).run()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; expected a file of the training folder") from error
    except _RefusedError as error:
        raise ModelError(
            f"{path}: the pickle holds {error}, expected only numbers, strings, containers and NumPy arrays; "
            f"do not open this file with other tools"
        ) from error
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise ModelError(
            f"{path}: not a readable pickle ({error}); copy it again from the training folder"
        ) from error


class _Machine:
    """The pickle machine of `pickletools`, less everything that imports or calls."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = 4 * len(data) + 64

    def run(self) -> Any:
        for opcode, argument, _ in pickletools.genops(self.data):
            handler = _HANDLERS.get(opcode.name)
            if handler is None:
                raise _RefusedError(f"the opcode {opcode.name}")
            handler(self, argument)
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop_tuple(self, length: int) -> None:
        items = tuple(self.stack[len(self.stack) - length :])
        if len(items) < length:
            raise ValueError("its stack runs empty")
        del self.stack[len(self.stack) - length :]
        self.push(items)

    def recall(self, index: int) -> None:
        value = self.memo[index]
        self.push(value.value if isinstance(value, _Unbuilt) else value)

    def memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push(_named(module, name))

    def reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError(f"a call of a {type(name).__name__}")
        self.budget -= sum(len(argument) for argument in arguments if isinstance(argument, Sized))
        if self.budget < 0:
            raise _RefusedError("more data than its size explains")
        self.push(name.build(*arguments))

    def build(self) -> None:
        state, unbuilt = self.stack.pop(), self.stack.pop()
        if not isinstance(unbuilt, _Unbuilt):
            raise _RefusedError(f"a state for a {type(unbuilt).__name__}")
        unbuilt.value = unbuilt.build(*state)
        self.push(unbuilt.value)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            dict.__setitem__(target, _hashable(key), value)

    def pop_last(self, length: int) -> list[Any]:
        self.marks.append(len(self.stack) - length)
        return self.pop_to_mark()


def _hashable(key: Any) -> Any:
    """The key itself if it is an atom or a tuple of atoms: hashing nested tuples can recurse without end."""
    atoms = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(atom, _ATOMS) for atom in atoms):
        raise _RefusedError(f"a {type(key).__name__} of containers as a key")
    return key


def _named(module: str, name: str) -> _Name:
    build = _ADMITTED.get(f"{module}.{name}".replace("numpy._core.", "numpy.core."))
    if build is None:
        raise _RefusedError(f"the name {module}.{name}")
    return _Name(build)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _RefusedError("an encoding other than latin1")
    return text.encode("latin1")


def _set(items: list[Any]) -> set[Any]:
    return {_hashable(item) for item in items}


def _frozenset(items: list[Any]) -> frozenset[Any]:
    return frozenset(_set(items))


def _ordered_dict(pairs: list[Any] | tuple[()] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((_hashable(key), value) for key, value in pairs)


def _dtype(name: str, *_: Any) -> _Unbuilt:
    if not _DTYPE_NAME.fullmatch(name):
        raise _RefusedError(f"NumPy's type {name}")
    return _Unbuilt(lambda version, order, *state: np.dtype(name).newbyteorder(order))


def _array(shape: tuple[int, ...], dtype: np.dtype[Any], data: bytes, order: str) -> NDArray[Any]:
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes | bytearray):
        raise TypeError("an array without numbers")
    array: NDArray[Any] = np.ndarray(shape, dtype, bytes(data), order="F" if order == "F" else "C")
    if array.nbytes != len(data):
        raise ValueError(f"an array of shape {shape} in {len(data)} bytes")
    return array


def _unbuilt_array(*_: Any) -> _Unbuilt:
    return _Unbuilt(
        lambda version, shape, dtype, fortran, data: _array(shape, dtype, data, "F" if fortran else "C")
    )


def _array_from_buffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> NDArray[Any]:
    return _array(shape, dtype, data, order)


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    return _array((), dtype, data, "C")[()]


def _not_callable(*_: Any) -> Any:
    raise _RefusedError("a call of numpy.ndarray")


_ADMITTED: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "__builtin__.set": _set,
    "builtins.set": _set,
    "__builtin__.frozenset": _frozenset,
    "builtins.frozenset": _frozenset,
    "collections.OrderedDict": _ordered_dict,
    "numpy.dtype": _dtype,
    "numpy.ndarray": _not_callable,
    "numpy.core.multiarray._reconstruct": _unbuilt_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
}

_Handler = Callable[[_Machine, Any], Any]

_LITERALS = (
    "INT LONG LONG1 BININT BININT1 BININT2 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
).split()

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(_LITERALS, _Machine.push),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.memoize),
    "MEMOIZE": lambda machine, _: machine.memoize(len(machine.memo)),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.pop_tuple(1),
    "TUPLE2": lambda machine, _: machine.pop_tuple(2),
    "TUPLE3": lambda machine, _: machine.pop_tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "APPEND": lambda machine, _: list.extend(*reversed((machine.pop_last(1), machine.stack[-1]))),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
}
