import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.case import Click, ClickName
from common.grandchallenge.clicks import read_clicks
from tests.support import golden_data
from tests.support.platform import refused, save_clicks

GOLDEN = golden_data.GOLDEN / "autopet_interactive/lesion-clicks.json"
POINT = {"point": [1, 2, 3], "name": "tumor"}


def test_golden_clicks_are_read_in_their_order() -> None:
    clicks = read_clicks(GOLDEN)
    assert clicks[:2] == (Click((31, 18, 33), "tumor"), Click((35, 3, 19), "background"))
    assert len(clicks) == 8


def test_no_points_are_no_clicks(tmp_path: Path) -> None:
    assert read_clicks(save_clicks(tmp_path / "clicks.json", [])) == ()


def test_all_that_the_platforms_schema_allows_is_taken(tmp_path: Path) -> None:
    point = {"point": [1.5, -2, 3e2], "name": "background", "type": "Point", "probability": 0.5}
    path = save_clicks(tmp_path / "clicks.json", [point], name="Lesion clicks")
    assert read_clicks(path) == (Click((1.5, -2.0, 300.0), "background"),)


def test_scribbles_of_thousands_of_points_take_little_longer_than_their_json(tmp_path: Path) -> None:
    path = save_clicks(tmp_path / "clicks.json", [POINT] * 10_000)

    def seconds(read: Callable[[Path], object]) -> float:
        start = time.perf_counter()
        read(path)
        return time.perf_counter() - start

    assert len(read_clicks(path)) == 10_000
    clicks = min(seconds(read_clicks) for _ in range(5))
    assert clicks < 40 * min(seconds(lambda path: json.loads(path.read_bytes())) for _ in range(5))


@pytest.mark.parametrize(
    ("document", "fragment"),
    [
        ([], "a JSON list"),
        ("tumor", "a JSON str"),
        (None, "a JSON NoneType"),
        ({}, "entries []"),
        ({"tumor": [[1, 2, 3]], "background": []}, "entries ['background', 'tumor']"),
        ({"type": "Point", "point": [1, 2, 3], "version": {"major": 1, "minor": 0}}, "type 'Point'"),
        ({"type": ["Multiple points"]}, "type ['Multiple points']"),
    ],
)
def test_other_document_is_refused_with_the_format_expected(
    tmp_path: Path, document: object, fragment: str
) -> None:
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    with refused(
        path, fragment, '"type": "Multiple points", "points": [{"point": [x, y, z], "name": "tumor"}'
    ):
        read_clicks(path)


@pytest.mark.parametrize("entry", ["version", "points"])
def test_missing_entry_is_named(tmp_path: Path, entry: str) -> None:
    path = save_clicks(tmp_path / "clicks.json", [])
    document = json.loads(path.read_text())
    del document[entry]
    path.write_text(json.dumps(document))
    with refused(f"{path}: '{entry}' is missing; write the points as "):
        read_clicks(path)


@pytest.mark.parametrize("version", [None, 1, "1.0", {}, {"major": 1}, {"major": "1", "minor": "0"}])
def test_other_version_object_is_refused(tmp_path: Path, version: object) -> None:
    path = save_clicks(tmp_path / "clicks.json", [], version=version)
    with refused(path, "'version' is", '"version": {"major": 1, "minor": 0}'):
        read_clicks(path)


@pytest.mark.parametrize("points", [None, {}, "none", 3])
def test_points_that_are_no_list_are_refused(tmp_path: Path, points: object) -> None:
    with refused("'points' is", "expected a list"):
        read_clicks(save_clicks(tmp_path / "clicks.json", points))


@pytest.mark.parametrize("point", [[1, 2, 3], None, "tumor", {"name": "tumor"}, {**POINT, "type": "Line"}])
def test_point_that_is_no_point_object_is_refused(tmp_path: Path, point: object) -> None:
    with refused("point 2 is", "expected an object"):
        read_clicks(save_clicks(tmp_path / "clicks.json", [POINT, point]))


@pytest.mark.parametrize(
    "position",
    [None, 1, {}, "1 2 3", [], [1, 2], [1, 2, 3, 4], [1, 2, "3"], [1, 2, True], [1, 2, None], [1, 2, [3]]],
)
def test_position_that_is_not_three_numbers_is_refused(tmp_path: Path, position: object) -> None:
    with refused(f"point 2 lies at {position!r}, expected three numbers [x, y, z]"):
        read_clicks(save_clicks(tmp_path / "clicks.json", [POINT, {**POINT, "point": position}]))


@pytest.mark.parametrize(("number", "fragment"), [("NaN", "nan"), ("1e999", "inf"), ("9" * 400, "9999")])
def test_position_that_is_no_finite_number_is_refused(tmp_path: Path, number: str, fragment: str) -> None:
    path = save_clicks(tmp_path / "clicks.json", [POINT])
    path.write_text(path.read_text().replace("[1, 2, 3]", f"[1, 2, {number}]"))
    with refused(path, fragment):
        read_clicks(path)


@pytest.mark.parametrize("name", ["Tumor", "tumour", "lesion", " ", None, 1, ["tumor"]])
@pytest.mark.parametrize("unnamed", [None, "tumor"])
def test_unknown_name_is_refused(tmp_path: Path, name: object, unnamed: ClickName | None) -> None:
    with refused("point 1 is named", "expected tumor or background"):
        read_clicks(save_clicks(tmp_path / "clicks.json", [{**POINT, "name": name}]), unnamed)


@pytest.mark.parametrize("point", [{"point": [1, 2, 3]}, {"point": [1, 2, 3], "name": ""}])
class TestUnnamedPoint:
    """The platform's format allows it; what it means is for the socket to say."""

    def test_it_is_refused_with_the_sockets_rule(self, tmp_path: Path, point: object) -> None:
        path = save_clicks(tmp_path / "clicks.json", [POINT, point])
        with refused(f"{path}: point 2 has no name", "this socket", "name every point tumor or background"):
            read_clicks(path)

    @pytest.mark.parametrize("name", ["tumor", "background"])
    def test_it_is_what_the_socket_takes_it_for(self, tmp_path: Path, point: object, name: ClickName) -> None:
        path = save_clicks(tmp_path / "clicks.json", [point, {**POINT, "name": "tumor"}])
        assert read_clicks(path, name) == (Click((1, 2, 3), name), Click((1, 2, 3), "tumor"))
