"""Whatever bytes the platform hands over, they are read or refused; nothing else happens."""

import gzip
import json
import os
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from common.grandchallenge.clicks import read_clicks
from common.grandchallenge.images import find_image, read_geometry, read_image
from common.grandchallenge.inputs_json import sockets_of_case
from common.grandchallenge.reading import read_case
from tests.support.platform import GRID, INTERFACE, edit_header, noise, save, save_case, save_clicks

HEADER = 350
INPUTS = json.dumps(
    [
        {"socket": {"slug": "pet", "relative_path": "images/pet", "kind": "Image"}, "value": None},
        {"interface": {"slug": "ct", "relative_path": "images/ct", "kind": "Image"}, "value": None},
    ]
)
CLICKS = json.dumps(
    {
        "version": {"major": 1, "minor": 0},
        "type": "Multiple points",
        "points": [{"point": [1, 2.5, 3], "name": "tumor"}, {"point": [3, 2, 1], "name": "background"}],
    }
)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut short, or with bits flipped, bytes dropped, inserted or replaced; mostly in the header."""
    if chance.random() < 0.25:
        return content[: chance.randrange(len(content))]
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        position = chance.randrange(len(damaged) if chance.random() < 0.4 else min(len(damaged), HEADER))
        kind = chance.randrange(4)
        if kind == 0:
            damaged[position] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del damaged[position : position + chance.randrange(1, 20)]
        elif kind == 2:
            damaged[position:position] = chance.randbytes(3)
        else:
            damaged[position] = chance.choice(b'0123456789-. \n=eE"[]{},')
        damaged += b" " * (not damaged)
    return bytes(damaged)


def refusal(read: Callable[[], object]) -> str | None:
    """Why the input is refused, if it is."""
    try:
        read()
    except InputError as error:
        return str(error)
    return None


def survives(read: Callable[[], object]) -> bool:
    message = refusal(read)
    assert message is None or (len(message.splitlines()) == 1 and len(message) < 600)
    return message is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["compressed.mha", "raw.mha", "image.nii.gz"])
def test_damaged_image_is_refused_or_of_finite_voxels(tmp_path: Path, name: str) -> None:
    intact = noise(GRID.shape)
    path = save(tmp_path / name, intact, compressed=name != "raw.mha")
    whole, chance = path.read_bytes(), random.Random(name)
    refusals = 0
    for _ in range(400):
        path.write_bytes(damage(whole, chance))
        if survives(lambda: read_image(path)):
            voxels = read_image(path).voxels
            assert np.isfinite(voxels).all()
            if name != "raw.mha":
                np.testing.assert_array_equal(np.sort(voxels, None), np.sort(intact, None))
        else:
            refusals += 1
    assert 200 < refusals < 400


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("lesion-clicks.json", CLICKS, read_clicks),
        ("inputs.json", INPUTS, lambda path: sockets_of_case(path.parent, INTERFACE)),
    ],
)
def test_damaged_json_is_refused_or_read(
    tmp_path: Path, name: str, content: str, read: Callable[[Path], object]
) -> None:
    path, chance = tmp_path / name, random.Random(name)
    refusals = 0
    for _ in range(400):
        path.write_bytes(damage(content.encode(), chance))
        refusals += not survives(lambda: read(path))
    assert 200 < refusals < 400


@pytest.mark.parametrize("depth", [10, 900, 950, 980, 990, 1000, 100_000])
@pytest.mark.parametrize("frame", ["{}", '{{"type": {}}}', '[{{"socket": {{"slug": {}}}}}]'])
def test_deeply_nested_json_is_refused(tmp_path: Path, depth: int, frame: str) -> None:
    for name in ("lesion-clicks.json", "inputs.json"):
        (tmp_path / name).write_text(frame.format("[" * depth + "]" * depth))
    assert not survives(lambda: read_clicks(tmp_path / "lesion-clicks.json"))
    assert not survives(lambda: sockets_of_case(tmp_path, INTERFACE))


@pytest.mark.parametrize("read", [read_geometry, read_image])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DimSize = 9 8 7", "DimSize = 40000 40000 40000"),
        ("DimSize = 9 8 7", "DimSize = 1e300 1e300 1e300"),
        ("DimSize = 9 8 7", "DimSize = -9 -8 7"),
        ("DimSize = 9 8 7", "DimSize = 0 8 7"),
        ("DimSize = 9 8 7", "DimSize = 9 8 nan"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = -2 2 3"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = 0 2 3"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = nan 2 3"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = 1e-300 2 3"),
        ("ElementSpacing = 2 2 3", "ElementSpacing = 2 2 1e300"),
        ("Offset = -10 5 20", "Offset = inf 5 20"),
        ("Offset = -10 5 20", "Offset = 1e300 5 20"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1e200 0 0 0 1 0 0 0 1"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_header_that_lies_is_the_inputs_fault(
    tmp_path: Path, read: Callable[[Path], object], old: str, new: str
) -> None:
    path = edit_header(save(tmp_path / "image.mha", noise(GRID.shape)), old, new)
    assert not survives(lambda: read(path))


def test_nothing_is_written_to_stderr_about_a_nifti_position_of_no_numbers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "image.nii.gz", noise(GRID.shape))
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<hh3f", content, 252, 0, 1, *(float("nan"),) * 3)
    struct.pack_into("<12f", content, 280, *(float("inf"),) * 12)
    path.write_bytes(gzip.compress(bytes(content)))
    assert not survives(lambda: read_geometry(path))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "found"),
    [(10_001, "10001 points, expected at most 10000"), (10**6, "more than 8388608 bytes")],
)
def test_more_clicks_than_a_reader_places_are_refused_in_time(tmp_path: Path, count: int, found: str) -> None:
    path = save_clicks(tmp_path / "clicks.json", [{"point": [1, 2, 3]}] * count)
    started = time.perf_counter()
    assert found in (refusal(lambda: read_clicks(path, "tumor")) or "")
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"1"', "null", "true", "[1]", "1" * 5000])
def test_a_coordinate_that_is_no_number_is_refused(tmp_path: Path, value: str) -> None:
    path = save_clicks(tmp_path / "clicks.json", [{"point": [7777, 2, 3], "name": "tumor"}])
    path.write_text(path.read_text().replace("7777", value))
    assert not survives(lambda: read_clicks(path))


def test_an_entry_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = save_clicks(tmp_path / "clicks.json", [])
    path.write_text(path.read_text().replace('"points": []', '"points": [], "points": []'))
    assert "has the entry 'points' twice" in (refusal(lambda: read_clicks(path)) or "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_json_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    for name, content in (("clicks.json", CLICKS), ("inputs.json", INPUTS)):
        (tmp_path / name).write_bytes(content.encode(encoding))
    assert not survives(lambda: read_clicks(tmp_path / "clicks.json"))
    assert not survives(lambda: sockets_of_case(tmp_path, INTERFACE))


@pytest.mark.parametrize(
    "path", ["../pet", "/etc", "images/../../pet", "images/\0", "images/" + "x" * 300, "x" * 9999]
)
def test_a_listed_path_out_of_the_folder_or_too_long_is_refused(tmp_path: Path, path: str) -> None:
    listed = json.loads(INPUTS)
    listed[0]["socket"]["relative_path"] = path
    (tmp_path / "inputs.json").write_text(json.dumps(listed))
    assert not survives(lambda: read_case(tmp_path, INTERFACE))


@pytest.mark.parametrize(
    "name", ["lesion-clicks.json", "images/pet/pet-of-case.mha", "images/ct/ct-of-case.mha", "inputs.json"]
)
@pytest.mark.parametrize("kind", ["fifo", "device", "circle", "folder"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, name: str, kind: str) -> None:
    path = save_case(tmp_path) / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    assert not survives(lambda: read_case(tmp_path, INTERFACE))


def test_two_cases_in_one_folder_are_refused(tmp_path: Path) -> None:
    save(save_case(tmp_path) / "images/pet/another.mha", noise(GRID.shape))
    assert "2 images" in (refusal(lambda: read_case(tmp_path, INTERFACE)) or "")


def test_a_file_name_of_two_lines_gives_a_message_of_one(tmp_path: Path) -> None:
    (tmp_path / "a\nb\x1b[2J").touch()
    message = refusal(lambda: find_image(tmp_path))
    assert message is not None
    assert message.isprintable()
    assert r"a\nb\x1b[2J" in message
