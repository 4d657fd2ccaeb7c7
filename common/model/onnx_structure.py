"""A look at an ONNX file's structure before a runtime loads it, without the `onnx` package.

The hashes of a model folder tell that it is whole, not who wrote it. A runtime would open any file that a
tensor names as its data, and run operators of its own that read files, too. So a file is refused unless it
holds its weights itself and asks for nothing but standard operators, one after the other.

It is read as protobuf's wire format: messages of fields, each with a number and a length; of weights only
the length is read. The numbers are those of `onnx.proto`:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".onnx"
"""By others, OpenVINO takes a file for another format, with further files beside it."""
STANDARD = (b"", b"ai.onnx")
"""Names of the domain of the operators that every runtime has."""
MAX_FIELDS = 1_000_000
"""Far more than any network's structure takes; reading them takes about a second."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTHS = {FIXED64: 8, FIXED32: 4}


class Refused(NamedTuple):
    """A field that is not accepted, unless its bytes are among `but`."""

    reason: str
    but: tuple[bytes, ...] = ()


class Message(NamedTuple):
    """A field that is a message: its fields' rules by their numbers; all others are passed over."""

    fields: Mapping[int, "Refused | Message"]


DOMAIN = Refused("operators of another domain", but=STANDARD)
SUBGRAPH = Refused("a graph inside an operator")
SPARSE = Refused("sparse weights")
TENSOR = Message(
    {13: Refused("weights in another file"), 14: Refused("weights in another file", but=(b"\0",))}
)
ATTRIBUTE = Message({5: TENSOR, 6: SUBGRAPH, 10: TENSOR, 11: SUBGRAPH, 22: SPARSE, 23: SPARSE})
NODE = Message({5: ATTRIBUTE, 7: DOMAIN})
GRAPH = Message({1: NODE, 5: TENSOR, 15: SPARSE})
OPERATOR_SET = Message({1: DOMAIN})
MODEL = Message({7: GRAPH, 8: OPERATOR_SET, 20: Refused("a graph for training"), 25: Refused("functions")})


def check_structure(path: Path) -> None:
    """Raise `ValueError`, saying what was found, for an ONNX file that a stranger might do harm with.

    That it is a valid network is for the engines to tell. Raises `OSError` where it cannot be read.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"a file named otherwise than *{SUFFIX}")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not size:
            raise ValueError("an empty file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check(content, size)


def _check(content: mmap.mmap, size: int) -> None:
    seen = 0
    messages = [(0, size, MODEL)]
    while messages:
        start, end, message = messages.pop()
        for number, wire_type, first, last in _fields(content, start, end):
            seen += 1
            if seen > MAX_FIELDS:
                raise ValueError(f"more than {MAX_FIELDS} entries")
            match message.fields.get(number):
                case Message() as inner if wire_type == BYTES:
                    messages.append((first, last, inner))
                case Refused(reason, but) if content[first : min(last, first + 10)] not in but:
                    raise ValueError(reason)


def _fields(content: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and the bytes from where to where, of each field of a message."""
    while position < end:
        tag, position = _varint(content, position, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            first = position
            _, last = _varint(content, first, end)
        elif wire_type == BYTES:
            length, first = _varint(content, position, end)
            last = first + length
        elif wire_type in WIDTHS:
            first, last = position, position + WIDTHS[wire_type]
        else:
            raise ValueError("no ONNX file")
        if last > end or not 0 < number < 1 << 29:
            raise ValueError("no whole ONNX file")
        yield number, wire_type, first, last
        position = last


def _varint(content: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    """The number at a position, seven bits a byte, and the position behind it."""
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise ValueError("no whole ONNX file")
