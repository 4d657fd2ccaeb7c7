import json
from pathlib import Path

import numpy as np
import pytest

from common.cli.run import run
from common.grandchallenge.clicks import read_clicks
from common.grandchallenge.images import read_image
from common.viewer.desk import Desk
from tests.support.dicom_phantoms import write_pet
from tests.support.platform import GRID, refused

ALGORITHM = "autopet_interactive"


@pytest.fixture
def desk(case: Path, golden_model: Path, tmp_path: Path) -> Desk:
    return Desk(case, ALGORITHM, golden_model, tmp_path / "out")


def place(desk: Desk, voxel: tuple[int, int, int]) -> list[float]:
    """A voxel in NIfTI's space, on a grid without rotation."""
    x, y, z = np.array(desk.geometry.origin) + np.array(voxel) * desk.geometry.spacing
    return [-x, -y, z]


def test_a_folder_that_is_no_case_is_refused(golden_model: Path, tmp_path: Path) -> None:
    with refused(tmp_path / "none", "no such folder"):
        Desk(tmp_path / "none", ALGORITHM, golden_model, tmp_path / "out")
    write_pet(tmp_path / "study", np.ones(GRID.shape), GRID)
    with refused(tmp_path / "study", "petct convert"):
        Desk(tmp_path / "study", ALGORITHM, golden_model, tmp_path / "out")


def test_clicks_come_back_where_they_were_put(desk: Desk) -> None:
    points = [
        {"name": "tumor", "mm": place(desk, (16, 15, 10))},
        {"name": "background", "mm": place(desk, (0, 0, 0))},
    ]
    desk.put_clicks(points)
    assert [(click.name, click.point) for click in desk.clicks] == [
        ("tumor", (16, 15, 10)),
        ("background", (0, 0, 0)),
    ]
    for put, found in zip(points, desk.places(), strict=True):
        assert found["name"] == put["name"]
        assert found["mm"] == pytest.approx(put["mm"])


def test_clicks_are_there_after_a_server_that_stopped(desk: Desk, case: Path, golden_model: Path) -> None:
    desk.put_clicks([{"name": "tumor", "mm": place(desk, (16, 15, 10))}])
    again = Desk(case, ALGORITHM, golden_model, desk.output)
    assert again.clicks == desk.clicks
    assert len(again.clicks) == 1


@pytest.mark.parametrize(
    "points",
    [
        [{"name": "tumor"}],
        [{"name": "tumor", "mm": [0, 0]}],
        [{"name": "tumor", "mm": [0, 0, "far"]}],
        [{"name": "tumor", "mm": [1e9, 0, 0]}],
        "clicks",
    ],
    ids=str,
)
def test_clicks_that_are_none_are_refused_and_those_before_stay(desk: Desk, points: object) -> None:
    desk.put_clicks([{"name": "tumor", "mm": place(desk, (16, 15, 10))}])
    with refused("clicks: "):
        desk.put_clicks(points)  # type: ignore[arg-type]
    assert len(desk.clicks) == 1


def test_the_saved_mask_is_that_of_a_run_on_the_saved_clicks(
    desk: Desk, case: Path, golden_model: Path, tmp_path: Path
) -> None:
    with refused("there is no mask yet; segment first"):
        desk.save()
    desk.put_clicks([{"name": "tumor", "mm": place(desk, (16, 15, 10))}])
    found = desk.segment()
    assert found["volume"] == pytest.approx(sum(lesion["volume"] for lesion in found["lesions"]))
    clicks, mask, report = desk.save()
    (tmp_path / "again").mkdir()
    (tmp_path / "again/images").symlink_to(case / "images")
    (tmp_path / "again/lesion-clicks.json").write_bytes(clicks.read_bytes())
    expected = run(ALGORITHM, tmp_path / "again", tmp_path / "expected", golden_model)
    assert mask.read_bytes() == expected.read_bytes()
    assert mask.name == expected.name
    assert report.is_file()
    assert json.loads(clicks.read_text())["type"] == "Multiple points"
    assert read_clicks(clicks) == tuple(desk.clicks)


def test_what_changed_since_the_last_time_is_told(desk: Desk) -> None:
    first = desk.segment()
    assert first["changed"] == pytest.approx(first["volume"])
    assert desk.segment()["changed"] == 0
    before = read_image(Path(desk.mask_file.parents[1] / "output").rglob("*.mha").__next__()).voxels > 0
    desk.put_clicks([{"name": "tumor", "mm": place(desk, (16, 15, 10))}])
    after = desk.segment()
    mask = read_image(next((desk.mask_file.parents[1] / "output").rglob("*.mha"))).voxels > 0
    assert after["changed"] == pytest.approx((mask != before).sum() * desk.geometry.voxel_volume_ml)
