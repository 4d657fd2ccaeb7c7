"""The reader's clicks, in the platform's "Multiple points" format.

The format is the definition `MPOI` in grand-challenge.org's `components/schemas.py`, where a point's name
is optional; the names are those of the autoPET-interactive challenge.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Strict, ValidationError
from pydantic.dataclasses import dataclass

from common.case import Click, ClickName
from common.documents import OPEN, WHOLE, excerpt, explain, read_document
from common.errors import InputError

RULE = " or ".join(get_args(ClickName))
MAX_POINTS = 10_000
"""Far more than a reader places; each takes time in every tile that it touches."""
EXAMPLE = (
    '{"version": {"major": 1, "minor": 0}, "type": "Multiple points", '
    '"points": [{"point": [x, y, z], "name": "tumor"}, …]}'
)

# Validators of Python code see JSON's lists as lists, which a strict tuple refuses; the numbers stay strict.
Position = Annotated[tuple[float, float, float], Strict(False), WHOLE]


@dataclass(frozen=True, config=OPEN)
class Version:
    """The format's version; all so far are read alike."""

    major: float
    minor: float


@dataclass(frozen=True, config=OPEN, kw_only=True)
class Point:
    """One click."""

    type: Literal["Point"] = "Point"
    point: Position
    """Voxel indices (x, y, z)."""
    name: Literal[ClickName, ""] = ""


@dataclass(frozen=True, config=OPEN)
class MultiplePoints:
    """The whole file."""

    type: Literal["Multiple points"]
    version: Annotated[Version, WHOLE]
    points: tuple[Point, ...]


def read_clicks(path: Path, unnamed: ClickName | None = None) -> tuple[Click, ...]:
    """Read the clicks, in voxel indices (x, y, z); they may lie outside the image.

    A point without a name is one of `unnamed`. Raises `InputError` when the file is not JSON, not in the
    platform's format, or names a point otherwise than "tumor" or "background", or not at all and `unnamed` is
    not given.
    """
    remedy = f"write the points as {EXAMPLE}"
    document = read_document(MultiplePoints, path, failure=InputError, remedy=remedy, wording=_explain)
    if len(document.points) > MAX_POINTS:
        raise InputError(f"{path}: {len(document.points)} points, expected at most {MAX_POINTS}; give fewer")
    clicks = []
    for number, point in enumerate(document.points, start=1):
        name = point.name or unnamed
        if not name:
            raise InputError(
                f"{path}: point {number} has no name, which the platform allows but this socket does not; "
                f"name every point {RULE}"
            )
        clicks.append(Click(point.point, name))
    return tuple(clicks)


def document_of(clicks: Sequence[Click]) -> dict[str, Any]:
    """Clicks as the platform's JSON of the kind "Multiple points"."""
    return {
        "name": "Lesion clicks",
        "type": "Multiple points",
        "points": [{"name": click.name, "point": list(click.point)} for click in clicks],
        "version": {"major": 1, "minor": 0},
    }


def _explain(error: ValidationError, where: str) -> str:
    """The first error in the words of a reader, who counts points from one."""
    first = error.errors(include_url=False)[0]
    found = excerpt(first["input"])
    match first["type"], first["loc"]:
        case "dataclass_type", ():
            return f"holds a JSON {type(first['input']).__name__}, expected an object"
        case "missing", ("type",):
            return f"holds an object with the entries {excerpt(sorted(first['input']))}"
        case _, ("type",):
            return f"holds an object of type {found}"
        case "missing", (str(entry),):
            return f"'{entry}' is missing"
        case _, ("version",):
            return f"'version' is {found}, expected two numbers"
        case _, ("points",):
            return f"'points' is {found}, expected a list"
        case "value_error", ("points", int(index), "point"):
            return f"point {index + 1} lies at {found}, expected three numbers [x, y, z]"
        case _, ("points", int(index), "name"):
            return f"point {index + 1} is named {found}, expected {RULE}"
        case _, ("points", int(index), *_):
            return f"point {index + 1} is {found}, expected an object of type 'Point'"
        case _:
            return explain(error, where)
