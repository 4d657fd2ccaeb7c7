"""The reader's clicks, in the platform's "Multiple points" format.

The format is the definition `MPOI` in grand-challenge.org's `components/schemas.py`, where a point's name
is optional; the names are those of the autoPET-interactive challenge.
"""

import sys
from pathlib import Path
from typing import Any, get_args

from common.case import Click, ClickName
from common.errors import InputError
from common.grandchallenge.json_file import read_json
from common.grandchallenge.messages import excerpt

TYPE = "Multiple points"
NAMES = get_args(ClickName)
RULE = " or ".join(NAMES)
EXAMPLE = (
    f'{{"version": {{"major": 1, "minor": 0}}, "type": "{TYPE}", '
    '"points": [{"point": [x, y, z], "name": "tumor"}, …]}'
)


def read_clicks(path: Path, unnamed: ClickName | None = None) -> tuple[Click, ...]:
    """Read the clicks, in voxel indices (x, y, z); they may lie outside the image.

    A point without a name is one of `unnamed`. Raises `InputError` when the file is not JSON, not in the
    platform's format, or names a point otherwise than "tumor" or "background", or not at all and `unnamed` is
    not given.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("type") != TYPE:
        raise InputError(f"{path}: holds {_describe(document)}, expected {EXAMPLE}")
    if not _is_version(document.get("version")):
        raise InputError(f"{path}: 'version' is {excerpt(document.get('version'))}, expected as in {EXAMPLE}")
    points = document.get("points")
    if not isinstance(points, list):
        raise InputError(f"{path}: 'points' is {excerpt(points)}, expected a list as in {EXAMPLE}")
    return tuple(_click(path, number, point, unnamed) for number, point in enumerate(points, start=1))


def _click(path: Path, number: int, value: Any, unnamed: ClickName | None) -> Click:
    if not isinstance(value, dict) or value.get("type", "Point") != "Point":
        raise InputError(f"{path}: point {number} is {excerpt(value)}, expected an object as in {EXAMPLE}")
    point, name = value.get("point"), value.get("name", "")
    if name == "":
        name = unnamed or ""
    if not isinstance(point, list) or len(point) != 3 or not all(map(_is_number, point)):
        raise InputError(f"{path}: point {number} lies at {excerpt(point)}, expected three numbers [x, y, z]")
    if name == "":
        raise InputError(
            f"{path}: point {number} has no name, which the platform allows but this socket does not; "
            f"name every point {RULE}"
        )
    if name not in NAMES:
        raise InputError(f"{path}: point {number} is named {excerpt(name)}, expected {RULE}")
    x, y, z = map(float, point)
    return Click((x, y, z), name)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_version(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(part)) for part in ("major", "minor"))


def _describe(document: Any) -> str:
    if not isinstance(document, dict):
        return f"a JSON {type(document).__name__}"
    if "type" in document:
        return f"an object of type {excerpt(document['type'])}"
    return f"an object with the entries {excerpt(sorted(document))}"
