import json
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from common.documents import STRICT, decode


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
        ({"share": 10**400}, "it.share: found inf, expected a finite number"),
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
