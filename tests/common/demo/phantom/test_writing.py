import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.demo.phantom.phantom import Phantom, make_phantom
from common.demo.phantom.writing import write_phantom
from common.errors import InputError
from common.grandchallenge.interface import Socket


@pytest.fixture
def phantom() -> Phantom:
    return make_phantom(2, (60, 24, 32), (16.0, 15.0, 14.0))


@pytest.fixture
def input_dir(phantom: Phantom, tmp_path: Path) -> Path:
    write_phantom(phantom, tmp_path / "input", tmp_path / "truth" / "case.mha")
    return tmp_path / "input"


@pytest.mark.parametrize("name", ["ct", "pet"])
def test_images_keep_their_voxels_and_geometry(phantom: Phantom, input_dir: Path, name: str) -> None:
    image = SimpleITK.ReadImage(str(input_dir / "images" / name / "case.mha"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), getattr(phantom, name))
    assert image.GetSpacing() == (14.0, 15.0, 16.0)
    assert image.GetOrigin() == pytest.approx(phantom.geometry.origin)
    assert image.GetDirection() == phantom.geometry.direction


def test_truth_lies_outside_the_input(phantom: Phantom, input_dir: Path) -> None:
    truth = SimpleITK.ReadImage(str(input_dir.parent / "truth" / "case.mha"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(truth), phantom.truth)
    assert truth.GetPixelID() == SimpleITK.sitkUInt8
    assert sorted(path.name for path in input_dir.rglob("*.mha")) == ["case.mha", "case.mha"]


def test_clicks_are_multiple_points(phantom: Phantom, input_dir: Path) -> None:
    document = json.loads((input_dir / "lesion-clicks.json").read_text())
    assert document["type"] == "Multiple points"
    assert document["version"] == {"major": 1, "minor": 0}
    assert [(tuple(point["point"]), point["name"]) for point in document["points"]] == [
        (click.point, click.name) for click in phantom.clicks
    ]


def test_inputs_json_lists_what_is_there(input_dir: Path) -> None:
    entries = json.loads((input_dir / "inputs.json").read_text())
    assert {entry["interface"]["slug"] for entry in entries} == {"ct", "pet", "lesion-clicks"}
    for entry in entries:
        assert (input_dir / entry["interface"]["relative_path"]).exists()


def test_case_has_the_sockets_that_are_asked_for(phantom: Phantom, tmp_path: Path) -> None:
    sockets = (
        Socket("low-dose", "image", "images/low-dose", channel="CT"),
        Socket("suv", "image", "images/suv"),
    )
    write_phantom(phantom, tmp_path / "input", tmp_path / "truth" / "case.mha", sockets)
    for socket, voxels in zip(sockets, (phantom.ct, phantom.pet), strict=True):
        image = SimpleITK.ReadImage(str(tmp_path / "input" / socket.relative_path / "case.mha"))
        assert np.array_equal(SimpleITK.GetArrayFromImage(image), voxels)
    entries = json.loads((tmp_path / "input/inputs.json").read_text())
    assert [entry["interface"]["slug"] for entry in entries] == ["low-dose", "suv"]
    assert not (tmp_path / "input/lesion-clicks.json").exists()


def test_folder_that_takes_no_file_is_refused(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "input").touch()
    with pytest.raises(InputError, match=r"the phantom cannot be written \(.*Not a directory") as caught:
        write_phantom(phantom, tmp_path / "input", tmp_path / "truth" / "case.mha")
    assert "\n" not in str(caught.value)


def test_image_that_cannot_be_written_is_refused(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "input/images/ct/case.mha").mkdir(parents=True)
    with pytest.raises(InputError, match="the phantom cannot be written"):
        write_phantom(phantom, tmp_path / "input", tmp_path / "truth" / "case.mha")
