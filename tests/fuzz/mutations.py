"""Valid files, changed where it hurts: numbers, types, lengths, nesting, compressed payloads."""

import gzip
import io
import json
import pickle
import pickletools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import torch

Chance = random.Random
Mutation = Callable[[Chance], bytes]

LONGEST = 2**25
"""Of a document, in characters: four times what is read of it."""
NUMBERS = (0, -1, 1, 2, 3, 7, 255, 10**6, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400)
FLOATS = (0.0, -0.0, -1.5, 1e-320, 1e-30, 1e30, 1e308, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "",
    "0",
    "nan",
    "../../etc/passwd",
    "/etc/passwd",
    "a\nb",
    "\0",
    "\x1b[2J",
    "\ud800",
    "x" * 5000,
    "ü" * 99,
)
HEADER_VALUES = (
    *("", "0 0 0", "-1 -1 -1", "3 3", "1 2 3 4", "nan nan nan", "inf 1 1", "1e308 1e308 1e308", "1e-320 1 1"),
    *("4294967296 4294967296 4294967296", "1e300 1e300 1e300", "9 8 6", "8 9 7", "9.5 8 7", "True", "False"),
    *(
        "MET_DOUBLE",
        "MET_CHAR",
        "MET_ASCII_CHAR",
        "LOCAL",
        "LIST",
        "/dev/zero",
        "../x.raw",
        "3",
        "2",
        "x" * 5000,
    ),
    *("0 0 0 0 0 0 0 0 0", "1e200 0 0 0 1e200 0 0 0 1e200", "1 2 3 4 5 6 7 8 9", "1_0 1_0 1_0"),
)
NIFTI_FIELDS = (
    *(
        "i0",
        "h40",
        "h42",
        "h44",
        "h46",
        "h48",
        "h70",
        "h72",
        "f76",
        "f80",
        "f84",
        "f88",
        "f108",
        "f112",
        "f116",
    ),
    *("h252", "h254", "f256", "f268", "f280", "f284", "f296", "f300", "f312", "i344"),
)
"""`struct`'s letter and the offset in the header."""


def damaged(content: bytes, chance: Chance) -> bytes:
    """Cut short, or with bytes flipped, dropped, inserted or repeated; mostly near the start."""
    if chance.random() < 0.2:
        return content[: chance.randrange(len(content) + 1)]
    result = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        position = chance.randrange((len(result) if chance.random() < 0.5 else min(len(result), 350)) + 1)
        match chance.randrange(4):
            case 0:
                result[position : position + 1] = chance.randbytes(1)
            case 1:
                del result[position : position + chance.randrange(1, 20)]
            case 2:
                result[position:position] = chance.choice(
                    (b"\0", b"\xff" * 8, b"\x80", b"-", b"9", b"\n", b'"')
                )
            case _:
                result[position:position] = result[position : position + chance.randrange(1, 40)]
    return bytes(result)


def metaimage(content: bytes, chance: Chance) -> bytes:
    """Header lines with other values, dropped, repeated or moved, and another payload."""
    head, separator, payload = content.partition(b"ElementDataFile = LOCAL\n")
    lines = [*head.splitlines(), separator.strip()]
    for _ in range(chance.choice((1, 1, 2, 3))):
        index = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0 if len(lines) > 1:
                del lines[index]
            case 1:
                lines.insert(chance.randrange(len(lines)), lines[index])
            case _:
                key = lines[index].partition(b"=")[0]
                lines[index] = key + b"= " + chance.choice(HEADER_VALUES).encode()
    if chance.random() < 0.3:
        payload = chance.choice(
            (b"", payload[:-4], payload + payload, zlib.compress(bytes(10**6)), bytes(2016))
        )
    return b"\n".join(lines) + b"\n" + payload


def nifti(content: bytes, chance: Chance) -> bytes:
    """Header fields with other numbers, voxels cut or repeated, and the gzip around them damaged."""
    header = bytearray(gzip.decompress(content))
    for field in chance.sample(NIFTI_FIELDS, chance.choice((1, 1, 2, 3))):
        kind, offset = field[0], int(field[1:])
        bits = {"h": 16, "i": 32}.get(kind)
        value = (
            chance.choice(FLOATS)
            if bits is None
            else chance.choice((0, 1, 2, -1, 2 ** (bits - 1) - 1, 348, 64))
        )
        try:
            struct.pack_into(f"<{kind}", header, offset, value)
        except OverflowError:
            struct.pack_into("<f", header, offset, 1e38)
    if chance.random() < 0.2:
        del header[chance.randrange(len(header)) :]
    packed = gzip.compress(bytes(header), 1, mtime=0)
    return damaged(packed, chance) if chance.random() < 0.1 else packed


def tree(value: Any, chance: Chance, *, pickled: bool = False) -> Any:
    """A copy of nested containers with one or a few parts replaced, dropped, repeated or wrapped."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        value = _changed(value, chance, pickled)
    return value


def _changed(value: Any, chance: Chance, pickled: bool) -> Any:
    if isinstance(value, dict | list | tuple) and value and chance.random() < 0.85:
        items: list[tuple[Any, Any]] = (
            list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        )
        index = chance.randrange(len(items))
        key, inner = items[index]
        match chance.randrange(12):
            case 0:
                del items[index]
            case 1:
                items.append((chance.choice(TEXTS[:4]), inner))
            case 2:
                items += [items[index]] * chance.choice((1, 3, 1000))
            case _:
                items[index] = (key, _changed(inner, chance, pickled))
        if isinstance(value, dict):
            return dict(items)
        return type(value)(item for _, item in items)
    return _replacement(value, chance, pickled)


def _replacement(value: Any, chance: Chance, pickled: bool) -> Any:
    choices: list[Callable[[], Any]] = [
        lambda: chance.choice(NUMBERS[:-1] if pickled else NUMBERS[:-2]),
        lambda: chance.choice(FLOATS),
        lambda: chance.choice(TEXTS),
        lambda: chance.choice((None, True, False, [], {}, [[]], {"": {}})),
        lambda: str(value)[:1000],
        lambda: [value, value],
        lambda: {"a": value},
        lambda: _deep(chance.choice((5, 50, 150, 190, 250))),
    ]
    if pickled:
        choices += [
            lambda: (value, chance.choice(NUMBERS[:-1])),
            lambda: {1, 2},
            lambda: b"\xff",
            lambda: _deep(250),
            lambda: _shared(chance.choice((3, 18))),
        ]
    return chance.choice(choices)()


def _deep(depth: int) -> Any:
    nested: Any = []
    for _ in range(depth):
        nested = [nested]
    return nested


def _shared(depth: int) -> Any:
    nested: Any = (1,)
    for _ in range(depth):
        nested = (nested, nested)
    return nested


def json_text(document: Any, chance: Chance) -> bytes:
    """A changed document as text, at times in another encoding, with keys twice, or damaged."""
    text = json.dumps(tree(document, chance) if chance.random() < 0.9 else document)
    if chance.random() < 0.1:
        text = text.replace('": ', f'": {chance.choice(("0, ", "null, "))}"x": ', 1)
    if chance.random() < 0.1:
        text = text.replace("1", chance.choice(("1e999", "1e-999", "-0", "01", "1" * 5000, "0x1", "NaN")), 1)
    text = text[:LONGEST]
    encoding = chance.choice(("utf-8",) * 12 + ("utf-16", "utf-8-sig", "utf-32", "utf-16-le"))
    content = text.encode(encoding, "surrogatepass")
    return damaged(content, chance) if chance.random() < 0.25 else content


def pickled(document: Any, chance: Chance) -> bytes:
    """A changed document in any protocol, at times with opcodes dropped, repeated or altered."""
    content = pickle.dumps(
        tree(document, chance, pickled=True), chance.randrange(pickle.HIGHEST_PROTOCOL + 1)
    )
    if chance.random() < 0.05:  # deeper than Python would write
        content = b"\x80\x02" + b"(" * 10**4 + b"t" * 10**4 + b"."
    return _opcodes(content, chance) if chance.random() < 0.5 else content


def _opcodes(content: bytes, chance: Chance) -> bytes:
    ends = [position for _, _, position in pickletools.genops(content) if position is not None]
    pieces = [content[first:last] for first, last in zip(ends, [*ends[1:], len(content)], strict=True)]
    for _ in range(chance.choice((1, 1, 2, 4))):
        index = chance.randrange(len(pieces))
        match chance.randrange(5):
            case 0:
                pieces[index] = damaged(pieces[index], chance)
            case 1:
                pieces.insert(index, chance.choice(pieces))
            case 2:
                pieces.insert(
                    index,
                    bytes(
                        [chance.choice(list(b"().0123]}aeustRbcoijhq\x81\x85\x86\x87\x88\x8f\x90\x93\x94"))]
                    ),
                )
            case 3:
                pieces[index] *= chance.choice((0, 2, 500))
            case _:
                pieces.insert(
                    index,
                    chance.choice(
                        (b"cos\nsystem\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n", b"K\xff\x85")
                    ),
                )
    return b"".join(pieces)


def torch_file(document: Any, chance: Chance) -> bytes:
    """A changed document as torch writes it, in both formats, at times with its archive's members altered."""
    file = io.BytesIO()
    zipped = chance.random() < 0.7
    changed = tree(document, chance, pickled=True) if chance.random() < 0.7 else document
    torch.save(changed, file, _use_new_zipfile_serialization=zipped)
    content = file.getvalue()
    if chance.random() < 0.5:
        return content
    return _archive(content, chance) if zipped and chance.random() < 0.8 else damaged(content, chance)


def _bomb(_: bytes, chance: Chance) -> bytes:
    """A few bytes that take any time or memory: a tuple of tuples of tuples as a key, or a number alone."""
    depth = chance.choice((25, 100, 10**4))
    nested = b"})" + (b"q\x00h\x00\x86" if depth < 1000 else b"\x85") * depth + b"K\x01s."
    return b"\x80\x02" + chance.choice((nested, b"Nr\xff\xff\xff\xff1.", b"\x8a\xff" + b"\x7f" * 255 + b"."))


def _archive(content: bytes, chance: Chance) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(result, "w") as altered:
        for name in whole.namelist():
            member = whole.read(name)
            if name.endswith("data.pkl"):
                change = _bomb if chance.random() < 0.002 else chance.choice((_opcodes, _opcodes, damaged))
                member = change(member, chance)
            elif chance.random() < 0.1:
                continue
            elif chance.random() < 0.1:
                member = chance.choice((b"", member[:3], member * 2, b"big"))
            packing = zipfile.ZIP_DEFLATED if chance.random() < 0.1 else zipfile.ZIP_STORED
            altered.writestr(name, member, packing)
    return result.getvalue()
