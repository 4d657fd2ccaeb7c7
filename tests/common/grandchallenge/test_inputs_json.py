import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.grandchallenge.inputs_json import sockets_of_case
from tests.support.platform import CLICKS, CT, INTERFACE, PET, refused


def listed(slug: str, relative_path: str, spelling: str = "socket") -> dict[str, Any]:
    """An entry with all that the platform writes into one."""
    socket = {
        "title": slug,
        "description": "",
        "slug": slug,
        "kind": "Image",
        "pk": 1,
        "default_value": None,
        "super_kind": "Image",
        "relative_path": relative_path,
        "overlay_segments": [],
        "look_up_table": None,
    }
    return {
        spelling: socket,
        "value": None,
        "file": None,
        "image": {"pk": "1", "name": "upload.dcm"},
        "pk": 7,
    }


def write(folder: Path, document: object) -> Path:
    path = folder / "inputs.json"
    path.write_text(json.dumps(document))
    return path


def test_sockets_are_the_interfaces_where_nothing_is_listed(tmp_path: Path) -> None:
    assert sockets_of_case(tmp_path, INTERFACE) == (CT, PET, CLICKS)


@pytest.mark.parametrize("spelling", ["socket", "interface"])
def test_list_tells_paths_and_which_sockets_there_are(tmp_path: Path, spelling: str) -> None:
    entries = [("pet", "images/fdg-pet"), ("ct", "images/ct")]
    write(tmp_path, [listed(*entry, spelling) for entry in entries])
    assert sockets_of_case(tmp_path, INTERFACE) == (CT, replace(PET, relative_path="images/fdg-pet"))


def test_socket_of_another_algorithm_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, [listed("ct", "images/ct"), listed("pet", "images/pet"), listed("mri", "images/mri")])
    with caplog.at_level(logging.WARNING):
        assert sockets_of_case(tmp_path, INTERFACE) == (CT, PET)
    assert "'mri'" in caplog.text


def test_list_without_a_needed_socket_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [listed("ct", "images/ct")])
    with refused(path, "no socket 'pet'", "'ct'"):
        sockets_of_case(tmp_path, INTERFACE)


@pytest.mark.parametrize(
    ("document", "fragment"),
    [
        ({}, "holds a dict"),
        (None, "holds a NoneType"),
        (["pet"], "entry 0 is 'pet'"),
        ([{}], "entry 0 is {}"),
        ([{"socket": "pet"}], "entry 0"),
        ([{"socket": {"slug": "pet"}}], "entry 0"),
        ([listed("ct", "images/ct"), {"socket": {"slug": 3, "relative_path": "images/pet"}}], "entry 1"),
        ([listed("pet", "../../etc")], "entry 0"),
        ([listed("pet", "/etc")], "entry 0"),
        ([listed("pet", "images/pet"), listed("pet", "images/pet")], "'pet' is listed twice"),
        ([listed("ct", "images/ct"), listed("pet", "pet.json")], "socket 'pet'"),
    ],
)
def test_malformed_list_is_refused(tmp_path: Path, document: object, fragment: str) -> None:
    path = write(tmp_path, document)
    with refused(path, fragment):
        sockets_of_case(tmp_path, INTERFACE)


@pytest.mark.parametrize("depth", [0, 1])
def test_entries_that_the_platform_adds_are_ignored(tmp_path: Path, depth: int) -> None:
    entries = [listed("ct", "images/ct"), listed("pet", "images/pet")]
    (entries[0] if depth == 0 else entries[0]["socket"])["new"] = {"of": ["any", "kind"]}
    write(tmp_path, entries)
    assert sockets_of_case(tmp_path, INTERFACE) == (CT, PET)


def test_list_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs.json"
    path.write_text("[{")
    with refused(path, "not JSON"):
        sockets_of_case(tmp_path, INTERFACE)


def test_missing_input_folder_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "input", "no such folder"):
        sockets_of_case(tmp_path / "input", INTERFACE)
