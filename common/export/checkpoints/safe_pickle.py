"""Reads a pickle as data: containers, numbers, strings and NumPy arrays.

nnU-Net's first generation keeps its plans in a pickle, which may come from a stranger. Python's own
unpickler imports what a pickle names and calls it. Here a small stack machine interprets the opcodes
and imports nothing: the few names that plans hold stand for functions of this module, every other name
is refused, and neither time nor memory grows beyond what the file's size explains.
"""

import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sized
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
    """What stands for a global that the pickle names."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build


class _Unbuilt:
    """An object whose content follows in a BUILD opcode; NumPy pickles its arrays and types so."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.value: Any = None


def load(path: Path) -> Any:
    """Return the object that the pickle at `path` holds.

    Admitted are `dict`, `list`, `tuple`, `set`, `OrderedDict`, numbers, strings, bytes, and NumPy arrays
    and scalars of numbers, booleans and strings, in every pickle protocol. Arrays are read-only.
    Raises `ModelError` for anything else, which is neither imported nor run, and for a broken file.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{path}: {size} bytes, expected a pickle of at most {MAX_BYTES}")
        return _Machine().run(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; expected a file of the training folder") from error
    except _RefusedError as error:
        raise ModelError(
            f"{path}: the pickle holds {error}, expected only numbers, strings, containers and NumPy arrays; "
            "do not open this file with other tools"
        ) from error
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise ModelError(f"{path}: not a whole pickle ({error}); copy it again from the training") from error


class _Machine:
    """The pickle machine that `pickletools` describes, less everything that imports or calls."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = 0

    def run(self, data: bytes) -> Any:
        self.budget = 64 + 4 * len(data)
        for opcode, argument, _ in pickletools.genops(data):
            self.step(opcode.name, argument)
        return self.stack.pop()

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _COLLECT:
            collect, count = _COLLECT[opcode]
            self.stack.append(collect(self.take(count)))
        elif opcode in _EXTEND:
            extend, count = _EXTEND[opcode]
            items = self.take(count)
            extend(self.stack[-1], items)
        elif opcode in _CONTROL:
            _CONTROL[opcode](self, argument)
        else:
            raise _RefusedError(f"the opcode {opcode}")

    def take(self, count: int | None) -> list[Any]:
        """Take `count` items, or all above the last mark, from the stack."""
        start = self.marks.pop() if count is None else len(self.stack) - count
        if start < 0:
            raise ValueError("its stack runs empty")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def ignore(self, _: Any) -> None:
        """Pass over what only helps a reader of streams."""

    def pop(self, _: None) -> None:
        self.take(1)

    def pop_mark(self, _: None) -> None:
        self.take(None)

    def put(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        value = self.memo[index]
        built = isinstance(value, _Unbuilt) and value.value is not None
        self.stack.append(value.value if built else value)

    def name(self, argument: str | None) -> None:
        module, name = self.take(2) if argument is None else argument.split(" ", 1)
        self.stack.append(_stand_in(module, name))

    def reduce(self, _: None) -> None:
        name, arguments = self.take(2)
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError(f"a call of a {type(name).__name__}")
        self.budget -= sum(len(argument) for argument in arguments if isinstance(argument, Sized))
        if self.budget < 0:
            raise _RefusedError("more data than its size explains")
        self.stack.append(name.build(*arguments))

    def build(self, _: None) -> None:
        unbuilt, state = self.take(2)
        if not isinstance(unbuilt, _Unbuilt):
            raise _RefusedError(f"a state for a {type(unbuilt).__name__}")
        unbuilt.value = unbuilt.build(*state)
        self.stack.append(unbuilt.value)


def _stand_in(module: str, name: str) -> _Name:
    """Find what stands for `module.name`; NumPy 2 calls `numpy.core` `numpy._core`."""
    build = _ADMITTED.get(f"{module}.{name}".replace("numpy._core.", "numpy.core.", 1))
    if build is None:
        raise _RefusedError(f"the name {module}.{name}")
    return _Name(build)


def _hashable(key: Any) -> Any:
    """Return a key that is an atom or a tuple of atoms; hashing deeper tuples can take for ever."""
    atoms = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(atom, _ATOMS) for atom in atoms):
        raise _RefusedError("a container as a key")
    return key


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return {_hashable(item) for item in items}


def _frozenset(items: Iterable[Any] = ()) -> frozenset[Any]:
    return frozenset(_set(items))


def _ordered_dict(pairs: Iterable[Any] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((_hashable(key), value) for key, value in pairs)


def _dict(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_hashable, items[::2]), items[1::2], strict=True))


def _update(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise TypeError(f"an item for a {type(target).__name__}")
    target.update(_dict(items))


def _add(target: Any, items: list[Any]) -> None:
    set.update(target, _set(items))


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _dtype(name: str, *_: Any) -> _Unbuilt:
    if not _DTYPE_NAME.fullmatch(name):
        raise _RefusedError(f"an array of NumPy's type {name}")
    return _Unbuilt(lambda version, order, *rest: np.dtype(name).newbyteorder(order))


def _array(shape: tuple[int, ...], dtype: Any, data: bytes, order: str) -> NDArray[Any]:
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes | bytearray):
        raise TypeError("an array without a type or data")
    array: NDArray[Any] = np.ndarray(shape, dtype, bytes(data), order="F" if order == "F" else "C")
    if array.nbytes != len(data):
        raise ValueError(f"{len(data)} bytes for an array of {array.nbytes}")
    return array


def _array_from_state(*_: Any) -> _Unbuilt:
    return _Unbuilt(
        lambda version, shape, dtype, fortran, data: _array(shape, dtype, data, "F" if fortran else "C")
    )


def _array_from_buffer(data: bytes, dtype: Any, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    return _array(shape, dtype, data, order)


def _scalar(dtype: Any, data: bytes) -> Any:
    return _array((), dtype, data, "C")[()]


def _array_class(*_: Any) -> None:
    raise _RefusedError("a call of numpy.ndarray")


_ADMITTED: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "__builtin__.bytes": _empty_bytes,
    "__builtin__.frozenset": _frozenset,
    "__builtin__.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.set": _set,
    "collections.OrderedDict": _ordered_dict,
    "numpy.dtype": _dtype,
    "numpy.ndarray": _array_class,
    "numpy.core.multiarray._reconstruct": _array_from_state,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
}

_LITERALS = {
    "INT",
    "LONG",
    "LONG1",
    "BININT",
    "BININT1",
    "BININT2",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

_COLLECT: dict[str, tuple[Callable[[list[Any]], Any], int | None]] = {
    "EMPTY_TUPLE": (tuple, 0),
    "TUPLE1": (tuple, 1),
    "TUPLE2": (tuple, 2),
    "TUPLE3": (tuple, 3),
    "TUPLE": (tuple, None),
    "EMPTY_LIST": (list, 0),
    "LIST": (list, None),
    "EMPTY_DICT": (_dict, 0),
    "DICT": (_dict, None),
    "EMPTY_SET": (_set, 0),
    "FROZENSET": (_frozenset, None),
}

_EXTEND: dict[str, tuple[Callable[[Any, list[Any]], None], int | None]] = {
    "APPEND": (list.extend, 1),
    "APPENDS": (list.extend, None),
    "SETITEM": (_update, 2),
    "SETITEMS": (_update, None),
    "ADDITEMS": (_add, None),
}

_CONTROL: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.ignore,
    "FRAME": _Machine.ignore,
    "STOP": _Machine.ignore,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
