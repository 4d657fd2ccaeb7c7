import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from common.grandchallenge.interface import Interface, is_relative_path
from tests.support.platform import CLICKS, CT, INTERFACE, MASK, PET, PET_ALONE, REPOSITORY

DOCUMENT: dict[str, Any] = {
    "title": "Lesions",
    "inputs": [
        {"slug": "ct", "kind": "image", "relative_path": "images/ct", "outside": -1024, "names_mask": True},
        {"slug": "pet", "kind": "image", "relative_path": "images/pet", "reference": True},
        {
            "slug": "lesion-clicks",
            "kind": "multiple-points",
            "relative_path": "lesion-clicks.json",
            "optional": True,
        },
    ],
    "outputs": [asdict(MASK)],
}


def load(folder: Path, document: object) -> Interface:
    path = folder / "interface.json"
    path.write_text(json.dumps(document))
    return Interface.load(path)


def test_interface_file_gives_its_sockets(tmp_path: Path) -> None:
    interface = load(tmp_path, DOCUMENT)
    assert interface == INTERFACE
    assert interface.reference == PET
    assert interface.namesake == CT
    assert interface.mask == MASK


@pytest.mark.parametrize(
    ("algorithm", "image"), [("autopet_interactive", "ct"), ("gepnet", "pet"), ("l2snet", "ct")]
)
def test_the_mask_is_named_as_the_original_names_it(algorithm: str, image: str) -> None:
    interface = Interface.load(REPOSITORY / "containers" / algorithm / "interface.json")
    assert interface.namesake.slug == image
    assert interface.reference.slug == "pet"


def test_socket_says_what_a_point_without_a_name_is(tmp_path: Path) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["inputs"][2]["unnamed"] = "tumor"
    assert load(tmp_path, document).inputs[2] == replace(CLICKS, unnamed="tumor")


def test_every_algorithm_has_a_sound_interface() -> None:
    paths = list((REPOSITORY / "containers").glob("*/interface.json"))
    assert all(Interface.load(path).mask.kind == "segmentation" for path in paths)


@pytest.mark.parametrize(
    ("socket", "entry", "value", "message"),
    [
        (0, "slug", "CT scan", "slug 'CT scan'"),
        (0, "kind", "photo", "kind"),
        (0, "relative_path", "../ct", "not a path inside"),
        (0, "relative_path", "ct", "under 'images/'"),
        (2, "relative_path", "images/clicks", "under 'images/'"),
        (0, "reference", True, "exactly one input image"),
        (1, "reference", False, "exactly one input image"),
        (2, "reference", True, "only an image"),
        (1, "optional", True, "neither the reference nor the mask can be optional"),
        (0, "names_mask", False, "exactly one input image must name the mask"),
        (1, "names_mask", True, "exactly one input image must name the mask"),
        (2, "names_mask", True, "only an image can name the mask"),
        (0, "optional", True, "the image that names the mask cannot be optional"),
        (0, "names_mask", "ct", "names_mask"),
        (0, "slug", "pet", "twice"),
        (0, "outside", "air", "outside"),
        (0, "unnamed", "tumor", "only points can be unnamed"),
        (2, "unnamed", "lesion", "unnamed"),
        (0, "channel", 1, "channel: found 1, expected a text"),
        (0, "channel", "PET", "pet, pet: two images are the same channel"),
        (2, "channel", "clicks", "only an image can be a channel"),
        (0, "labels", ["liver"], "only a segmentation can have labels"),
        (0, "colour", "red", "colour"),
    ],
)
def test_broken_socket_is_named(tmp_path: Path, socket: int, entry: str, value: object, message: str) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["inputs"][socket][entry] = value
    with pytest.raises(ValueError, match=message):
        load(tmp_path, document)


def test_an_image_is_named_as_its_channel_or_else_as_its_slug() -> None:
    assert PET.image_name == "pet"
    assert replace(PET, slug="fdg-pet", channel="PET").image_name == "pet"


def test_a_mask_has_one_label_where_the_interface_names_none() -> None:
    assert MASK.labels == ("lesion",)


@pytest.mark.parametrize("labels", [["liver"], ["lesion", "spleen"], [f"organ {i}" for i in range(255)]])
def test_labels_are_named_in_their_order(tmp_path: Path, labels: list[str]) -> None:
    outputs = [{**asdict(MASK), "labels": labels}]
    assert load(tmp_path, {**DOCUMENT, "outputs": outputs}).mask.labels == tuple(labels)


@pytest.mark.parametrize("labels", [[], ["lesion", "lesion"], [f"organ {i}" for i in range(256)]])
def test_labels_that_a_mask_cannot_have_are_refused(tmp_path: Path, labels: list[str]) -> None:
    outputs = [{**asdict(MASK), "labels": labels}]
    with pytest.raises(ValueError, match="expected 1 to 255 labels of different names"):
        load(tmp_path, {**DOCUMENT, "outputs": outputs})


@pytest.mark.parametrize("outputs", [[], [asdict(MASK), {**asdict(MASK), "slug": "other"}], [asdict(CT)]])
def test_exactly_one_segmentation_comes_out(tmp_path: Path, outputs: object) -> None:
    with pytest.raises(ValueError, match="exactly one output"):
        load(tmp_path, {**DOCUMENT, "inputs": [asdict(PET_ALONE)], "outputs": outputs})


def test_segmentation_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a segmentation"):
        load(tmp_path, {**DOCUMENT, "inputs": [asdict(PET_ALONE), {**asdict(MASK), "slug": "prior"}]})


def test_what_is_wrong_with_an_interface_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^\S*interface\.json: interface\.title: found 1, expected a text$"):
        load(tmp_path, {**DOCUMENT, "title": 1, "inputs": 2})


def test_interface_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "interface.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"interface\.json"):
        Interface.load(path)


@pytest.mark.parametrize("path", ["images/ct", "clicks.json", "a/b/c"])
def test_path_inside_a_folder_is_relative(path: str) -> None:
    assert is_relative_path(path)


@pytest.mark.parametrize("path", ["", ".", "/images", "../x", "a/../b", "a//b", "a/", "a\nb"])
def test_path_that_leaves_a_folder_is_not_relative(path: str) -> None:
    assert not is_relative_path(path)
