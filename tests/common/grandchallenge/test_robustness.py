"""Whatever bytes the platform hands over, they are read or refused; nothing else happens."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from common.grandchallenge.clicks import read_clicks
from common.grandchallenge.images import read_image
from common.grandchallenge.inputs_json import sockets_of_case
from tests.support.platform import GRID, INTERFACE, noise, save

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
