import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from common.documents import MAX_EXCERPT, OPEN, STRICT, WHOLE, decode, excerpt, read_document
from common.errors import InputError
from tests.support.platform import refused


@dataclass(frozen=True, config=STRICT)
class Inner:
    kind: Literal["ct", "pet"]
    unit: Literal["HU", "SUV"] | None = None


@dataclass(frozen=True, config=STRICT)
class Outer:
    name: str
    count: int
    share: float
    flag: bool
    file: Path
    pair: tuple[int, int]
    inner: tuple[Inner, ...]
    maybe: float | None = None
    rest: dict[str, Any] = Field(default_factory=dict)


def document(**changes: object) -> str:
    return json.dumps(ENTRIES | changes)


ENTRIES: dict[str, object] = {
    "name": "a",
    "count": 1,
    "share": 2,
    "flag": True,
    "file": "b/c",
    "pair": [1, 2],
    "inner": [{"kind": "ct"}, {"kind": "pet"}],
}


def test_a_document_becomes_its_dataclass() -> None:
    assert decode(Outer, document(maybe=0.5, rest={"x": [1]}), "it") == Outer(
        "a", 1, 2.0, True, Path("b/c"), (1, 2), (Inner("ct"), Inner("pet")), 0.5, {"x": [1]}
    )


def test_an_optional_literal_is_one_of_its_choices_or_null() -> None:
    assert decode(Inner, '{"kind": "ct", "unit": "HU"}', "it") == Inner("ct", "HU")
    assert decode(Inner, '{"kind": "ct", "unit": null}', "it") == Inner("ct")
    with pytest.raises(ValueError, match=r"it\.unit: found 'mm', expected one of 'HU', 'SUV'"):
        decode(Inner, '{"kind": "ct", "unit": "mm"}', "it")


def test_entries_with_a_default_may_be_left_out_or_null() -> None:
    assert decode(Outer, document(maybe=None), "it") == decode(Outer, document(), "it")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 1}, "it.name: found 1, expected a text"),
        ({"count": True}, "it.count: found True, expected a whole number"),
        ({"count": 1.5}, "it.count: found 1.5, expected a whole number"),
        ({"share": "x"}, "it.share: found 'x', expected a finite number"),
        ({"share": True}, "it.share: found True, expected a finite number"),
        ({"share": float("nan")}, "it.share: found nan, expected a finite number"),
        ({"share": 10**400}, r"it.share: found 10+\.\.\.0+, expected a finite number"),
        ({"flag": 1}, "it.flag: found 1, expected true or false"),
        ({"file": None}, "it.file: found None, expected a text"),
        ({"pair": [1]}, r"it.pair: found \[1\], expected 2 entries"),
        ({"pair": {}}, "it.pair: found {}, expected a list"),
        ({"pair": [1, "x"]}, r"it.pair\[1\]: found 'x', expected a whole number"),
        ({"inner": [{"kind": "mr"}]}, r"it.inner\[0\].kind: found 'mr', expected one of 'ct', 'pet'"),
        ({"inner": [7]}, r"it.inner\[0\]: found 7, expected an object"),
        ({"maybe": "x"}, "it.maybe: found 'x', expected a finite number"),
        ({"rest": []}, r"it.rest: found \[\], expected an object"),
        ({"odd": 1}, "it.odd is not an entry of this format"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        decode(Outer, document(**changes), "it")


def test_a_missing_entry_is_named() -> None:
    incomplete = json.dumps({name: value for name, value in ENTRIES.items() if name != "pair"})
    with pytest.raises(ValueError, match=r"^it.pair is missing$"):
        decode(Outer, incomplete, "it")


@dataclass(frozen=True, config=OPEN)
class Foreign:
    """Another's document."""

    numbers: Annotated[list[float], WHOLE]


def read(path: Path) -> list[float]:
    return read_document(Foreign, path, failure=InputError, remedy="write it again").numbers


def test_an_open_document_may_have_further_entries() -> None:
    assert decode(Foreign, '{"numbers": [1, 2.5], "new": {"a": null}}') == Foreign([1.0, 2.5])


def test_an_error_inside_a_whole_value_is_one_of_the_value() -> None:
    with pytest.raises(ValueError, match=r"^it\.numbers: does not fit$") as caught:
        decode(Foreign, '{"numbers": [1, "x", []]}', "it")
    assert isinstance(caught.value.__cause__, ValidationError)
    (detail,) = caught.value.__cause__.errors()
    assert detail["input"] == [1, "x", []]


def test_a_document_may_have_its_own_wording() -> None:
    with pytest.raises(ValueError, match=r"^1 mistake in it$"):
        decode(Foreign, "[]", "it", lambda error, where: f"{error.error_count()} mistake in {where}")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"é": "é", "numbers": [1, 2.5]}', encoding="utf-8")
    assert read(path) == [1.0, 2.5]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"nonsense", b"\xff\x00\xff", b"[" * 5000, b"9" * 5000, b'{"a": "\xff"}']
)
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with refused(f"{path}: is not JSON (", "; write it again"):
        read(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"numbers": [{number}]}}')
    with refused(path, "numbers: does not fit"):
        read(path)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path, "cannot be read (Is a directory); check the path and its permissions"):
        read(tmp_path)


def test_excerpt_is_on_one_line() -> None:
    assert excerpt("a\nb") == r"'a\nb'"


def test_excerpt_of_a_long_or_deep_value_is_short() -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    assert len(excerpt(deep)) <= MAX_EXCERPT + 1
    assert len(excerpt(list(range(10**5)))) <= MAX_EXCERPT + 1
    assert len(excerpt("x" * 10**5)) <= MAX_EXCERPT + 1
