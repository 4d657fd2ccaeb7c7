"""JSON documents as dataclasses: strict types, no unknown entries, and one line for what does not fit.

A document's class is a pydantic dataclass: `@dataclass(frozen=True, config=STRICT)`. Checks beyond the types
are `ValueError`s raised in its `__post_init__`. Only the decoder's own error is caught: a bug stays a bug.
"""

import json
import reprlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails

from common.errors import PetctError

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
OPEN: ConfigDict = {**STRICT, "extra": "ignore"}
"""For documents that others write (the platform, nnU-Net), who add entries without notice."""
MAX_EXCERPT = 60
"""Characters of a value that a message shows."""
MAX_BYTES = 8 * 2**20
"""Of a document: ten times the largest plans; in memory it takes up to thirty times its size."""

T = TypeVar("T")
Location = tuple[int | str, ...]
Wording = Callable[[ValidationError, str], str]
"""What `explain` does, in a document's own words."""

EXPECTED = {
    "bool_type": "true or false",
    "dataclass_type": "an object",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a finite number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "a text",
    "tuple_type": "a list",
}
"""Words for pydantic's types of errors."""
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


class DocumentError(ValueError):
    """A document that does not fit its class."""


def read_document(
    kind: type[T],
    path: Path,
    *,
    failure: type[PetctError],
    remedy: str,
    missing: str = "check the path and its permissions",
    where: str = "",
    wording: Wording | None = None,
) -> T:
    """The JSON file at `path` as a `kind`; see `decode`.

    Raises `failure` in one line: the file, the place in it, what was found, what was expected, and the
    `remedy`; `missing` is the remedy for a file that cannot be read at all.
    """
    text = read_limited(path, failure, missing)
    try:
        return decode(kind, text, where, wording)
    except DocumentError as error:
        raise failure(f"{path}: {error}; {remedy}") from error


def read_limited(path: Path, failure: type[PetctError], missing: str) -> bytes:
    """A document's bytes; raises `failure` for a file that cannot be read, is none, or has too many."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise failure(f"{path}: a pipe or device, expected a file; {missing}")
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise failure(f"{path}: cannot be read ({error.strerror}); {missing}") from error
    if len(text) > MAX_BYTES:
        raise failure(f"{path}: more than {MAX_BYTES} bytes, expected a document of fewer; {missing}")
    return text


def decode(kind: type[T], text: str | bytes, where: str = "", wording: Wording | None = None) -> T:
    """What a JSON text holds, as a `kind`: a document's class, a list or dictionary of such, or a plain type.

    Raises `DocumentError`, a `ValueError` of one line, for the first entry that does not fit, named by its
    place below `where`, unless the document has a `wording` of its own.
    """
    try:
        document = TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        raise DocumentError((wording or explain)(error, where)) from error
    json.loads(text, object_pairs_hook=unique_keys)
    return document


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for `json.loads`, which else takes the last of two values; raises `DocumentError`."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise DocumentError(f"has the entry {excerpt(twice)} twice in one object, expected it once")
    return entries


def check(kind: type[T], value: object, where: str = "") -> T:
    """What `json.loads` gave, as a `kind`; raises as `decode` does."""
    # By way of JSON, because pydantic's strict types differ there: its lists are tuples, its objects classes.
    return decode(kind, json.dumps(value), where)


def explain(error: ValidationError, where: str = "") -> str:
    """A decoder's error in one line: place, what was found, what was expected.

    An unknown entry comes first: it is often another's wrong spelling.
    """
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: detail["type"] not in UNKNOWN)
    location = first["loc"]
    if first["type"] == "json_invalid":
        return f"is not JSON ({first['ctx']['error']})"
    if first["type"] in UNKNOWN:
        return f"{_place(where, location)} is not an entry of this format"
    if first["type"] == "missing" and isinstance(location[-1], str):
        return f"{_place(where, location)} is missing"
    if first["type"] == "value_error":
        return _at(_place(where, location), str(first["ctx"]["error"]))
    if first["type"] in ("missing", "too_long"):
        return _wrong_length(details, where)
    found = f"found {excerpt(first['input'])}, expected {_expected(first)}"
    return _at(_place(where, location), found)


def excerpt(value: object) -> str:
    """A value out of a file, for a message: on one line, and cut where it is long or deep."""
    text = reprlib.repr(value)
    return text if len(text) <= MAX_EXCERPT else f"{text[:MAX_EXCERPT]}…"


def _as_a_whole(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError as error:
        raise ValueError("does not fit") from error


WHOLE = WrapValidator(_as_a_whole)
"""For an annotation: an error inside the value is one of the whole value, which messages then show."""


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] == "literal_error":
        return f"one of {detail['ctx']['expected'].replace(' or ', ', ')}"
    return EXPECTED.get(detail["type"], detail["msg"].removeprefix("Input should be "))


def _wrong_length(details: list[ErrorDetails], where: str) -> str:
    """A list of another length: pydantic calls every entry that it lacks missing."""
    first = next(detail for detail in details if detail["type"] in ("missing", "too_long"))
    if first["type"] == "too_long":
        location, length = first["loc"], first["ctx"]["max_length"]
    else:
        location = first["loc"][:-1]
        siblings = (detail["loc"] for detail in details if detail["loc"][:-1] == location)
        length = 1 + max(place[-1] for place in siblings if isinstance(place[-1], int))
    return _at(_place(where, location), f"found {excerpt(first['input'])}, expected {length} entries")


def _at(place: str, problem: str) -> str:
    return f"{place}: {problem}" if place else problem


def _place(where: str, location: Location) -> str:
    """`networks[0].patch`, below `where`."""
    steps: list[str] = [where] if where else []
    for step in location:
        if isinstance(step, int):
            steps[-1:] = [f"{steps[-1] if steps else ''}[{step}]"]
        else:
            steps.append(step)
    return ".".join(steps)


def plain(value: Any) -> Any:
    """A document as `json.dumps` takes it; paths become texts."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")
