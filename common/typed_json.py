"""JSON documents as dataclasses, with the type of every entry checked."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

NAMES = {bool: "true or false", int: "a whole number", str: "a text", Path: "a path", dict: "an object"}


def decode(kind: type[T], value: object, where: str) -> T:
    """The dataclass `kind` from what `json.load` gave for it.

    Its fields may be dataclasses, numbers, texts, paths, tuples, literals, optional values and
    dictionaries. Raises `ValueError` naming the first entry that does not fit by its place below `where`,
    also where the dataclass itself refuses its values.
    """
    if not isinstance(value, Mapping):
        raise _mismatch(value, "an object", where)
    hints = get_type_hints(kind)
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{where}.{unknown[0]} is not an entry of this format")
    arguments = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in value:
            arguments[field.name] = _entry(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where}.{field.name} is missing")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _entry(kind: Any, value: object, where: str) -> Any:
    if is_dataclass(kind):
        return decode(kind, value, where)  # type: ignore[arg-type]
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(kind, value, where)
    if origin is tuple:
        return _tuple(get_args(kind), value, where)
    if origin is Literal:
        return _literal(get_args(kind), value, where)
    return _plain(origin or kind, value, where)


def _optional(kind: Any, value: object, where: str) -> Any:
    (inner,) = (member for member in get_args(kind) if member is not NoneType)
    return None if value is None else _entry(inner, value, where)


def _tuple(members: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _mismatch(value, "a list", where)
    if members[-1] is Ellipsis:
        members = members[:1] * len(value)
    if len(value) != len(members):
        raise _mismatch(value, f"{len(members)} entries", where)
    pairs = zip(members, value, strict=True)
    return tuple(_entry(member, entry, f"{where}[{index}]") for index, (member, entry) in enumerate(pairs))


def _literal(choices: tuple[Any, ...], value: object, where: str) -> Any:
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise _mismatch(value, f"one of {', '.join(map(repr, choices))}", where)
    return value


def _plain(kind: Any, value: object, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float:
        return _number(value, where)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if type(value) is not kind:
        raise _mismatch(value, NAMES[kind], where)
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
    raise _mismatch(value, "a finite number", where)


def _mismatch(value: object, expected: str, where: str) -> ValueError:
    found = repr(value)
    return ValueError(
        f"{where}: found {found if len(found) <= 40 else found[:40] + '…'}, expected {expected}"
    )
