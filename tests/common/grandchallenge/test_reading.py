import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.case import Click
from common.geometry import Geometry
from common.grandchallenge.interface import Interface, Socket
from common.grandchallenge.reading import read_case
from tests.support.platform import (
    CLICKS,
    CT,
    GRID,
    INTERFACE,
    MASK,
    OBLIQUE,
    PET,
    PET_ALONE,
    noise,
    refused,
    run_python,
    save,
    save_case,
    save_clicks,
)

CT_OPTIONAL = Interface("CT optional", (PET_ALONE, replace(CT, names_mask=False, optional=True)), (MASK,))


@pytest.fixture
def input_dir(tmp_path: Path) -> Path:
    return save_case(tmp_path / "input")


def test_case_is_what_the_platform_laid_out(input_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = read_case(input_dir, INTERFACE)
    np.testing.assert_array_equal(case.images["ct"], noise(GRID.shape, 1) * 300)
    np.testing.assert_array_equal(case.images["pet"], noise(GRID.shape, 2))
    assert list(case.images) == ["ct", "pet"]
    assert case.geometry == GRID
    assert case.stem == "ct-of-case"
    assert case.clicks == (Click((1, 2, 3), "tumor"),)
    assert not caplog.records


def test_case_of_one_image_needs_no_other(input_dir: Path) -> None:
    shutil.rmtree(input_dir / "images/ct")
    case = read_case(input_dir, Interface("PET only", (PET_ALONE,), (MASK,)))
    assert list(case.images) == ["pet"]
    assert case.stem == "pet-of-case"
    assert case.clicks == ()


def test_listed_paths_win(input_dir: Path) -> None:
    (input_dir / "images/ct").rename(input_dir / "images/ct-of-the-platform")
    sockets = {"ct": "images/ct-of-the-platform", "pet": "images/pet"}
    listed = [{"socket": {"slug": slug, "relative_path": path}} for slug, path in sockets.items()]
    (input_dir / "inputs.json").write_text(json.dumps(listed))
    case = read_case(input_dir, INTERFACE)
    np.testing.assert_array_equal(case.images["ct"], noise(GRID.shape, 1) * 300)
    assert case.clicks == ()


def test_images_are_named_as_the_networks_channels(input_dir: Path) -> None:
    inputs = (replace(CT, slug="low-dose-ct", channel="CT"), replace(PET, slug="fdg-pet", channel="PET"))
    case = read_case(input_dir, Interface("Other slugs", inputs, (MASK,)))
    np.testing.assert_array_equal(case.images["ct"], noise(GRID.shape, 1) * 300)
    np.testing.assert_array_equal(case.images["pet"], noise(GRID.shape, 2))
    assert case.geometry == GRID
    assert case.stem == "ct-of-case"


def list_inputs(input_dir: Path, *sockets: Socket) -> Path:
    path = input_dir / "inputs.json"
    entries = ({"slug": socket.slug, "relative_path": socket.relative_path} for socket in sockets)
    path.write_text(json.dumps([{"socket": entry} for entry in entries]))
    return path


@pytest.mark.parametrize("socket", [CT, PET, CLICKS])
def test_listed_input_without_its_file_is_refused(input_dir: Path, socket: Socket) -> None:
    inputs = list_inputs(input_dir, CT, PET, CLICKS)
    path = input_dir / socket.relative_path
    path.rename(input_dir / "elsewhere")
    with refused(f"{path}: no such file or folder, but {inputs} lists {socket.slug!r}", "give the case"):
        read_case(input_dir, INTERFACE)


def test_optional_input_that_is_not_listed_is_not_missed(
    input_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list_inputs(input_dir, CT, PET)
    (input_dir / "lesion-clicks.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert read_case(input_dir, INTERFACE).clicks == ()
    assert not caplog.records


def test_point_without_a_name_is_what_its_socket_takes_it_for(input_dir: Path) -> None:
    save_clicks(input_dir / "lesion-clicks.json", [{"point": [1, 2, 3]}])
    with refused(input_dir / "lesion-clicks.json", "point 1 has no name"):
        read_case(input_dir, INTERFACE)
    inputs = (replace(PET, names_mask=True), replace(CLICKS, unnamed="tumor"))
    interface = Interface("Tumours", inputs, (MASK,))
    assert read_case(input_dir, interface).clicks == (Click((1, 2, 3), "tumor"),)


def test_missing_clicks_are_no_clicks_and_a_warning(
    input_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (input_dir / "lesion-clicks.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert read_case(input_dir, INTERFACE).clicks == ()
    assert f"{input_dir / 'lesion-clicks.json'}: no such file" in caplog.text


def test_a_missing_optional_image_is_left_out_with_a_warning(
    input_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(input_dir / "images/ct")
    with caplog.at_level(logging.WARNING):
        case = read_case(input_dir, CT_OPTIONAL)
    assert list(case.images) == ["pet"]
    assert f"{input_dir / 'images/ct'}: no such file" in caplog.text


def test_an_optional_image_that_is_there_is_read(input_dir: Path) -> None:
    case = read_case(input_dir, CT_OPTIONAL)
    assert list(case.images) == ["pet", "ct"]


def test_missing_clicks_are_refused_where_they_are_needed(input_dir: Path) -> None:
    (input_dir / "lesion-clicks.json").unlink()
    interface = Interface("Clicks needed", (PET_ALONE, replace(CLICKS, optional=False)), (MASK,))
    with refused(input_dir / "lesion-clicks.json", "no such file"):
        read_case(input_dir, interface)


@pytest.mark.parametrize("socket", [CT, PET])
def test_missing_image_is_refused(input_dir: Path, socket: object) -> None:
    folder = input_dir / ("images/ct" if socket is CT else "images/pet")
    shutil.rmtree(folder)
    with refused(folder, "No such file or directory"):
        read_case(input_dir, INTERFACE)


def test_broken_image_is_refused(input_dir: Path) -> None:
    path = input_dir / "images/ct/ct-of-case.mha"
    os.truncate(path, path.stat().st_size - 1)
    with refused(path, "damaged or cut short"):
        read_case(input_dir, INTERFACE)


def test_image_on_another_grid_is_resampled_with_a_warning(
    input_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grid = Geometry((12, 11, 6), (1.5, 1.5, 2.0), (-8.0, 7.0, 22.0), GRID.direction)
    path = save(input_dir / "images/ct/ct-of-case.mha", np.full(grid.shape, 40, np.int16), grid)
    with caplog.at_level(logging.WARNING):
        case = read_case(input_dir, INTERFACE)
    assert str(path) in caplog.text
    assert "resampled onto the reference image's grid, -1024" in caplog.text
    assert case.images["ct"].shape == case.images["pet"].shape
    assert case.images["ct"].dtype == np.float32
    assert case.images["ct"].flags.c_contiguous
    assert np.unique(case.images["ct"]).tolist() == [-1024, 40]
    assert case.images["ct"][0, 0, 0] == -1024
    assert case.images["ct"][2, 3, 4] == 40


def test_image_that_does_not_overlap_is_refused(input_dir: Path) -> None:
    grid = Geometry((9, 8, 7), (2.0, 2.0, 3.0), (100.0, 100.0, 100.0), OBLIQUE)
    path = save(input_dir / "images/ct/ct-of-case.mha", noise(grid.shape), grid)
    with refused(path, "does not overlap the reference image", "9 × 8 × 7", "one patient"):
        read_case(input_dir, INTERFACE)


MEMORY_OF_READING = """
from pathlib import Path

import scipy.ndimage, SimpleITK

from common.grandchallenge import reading
from common.memory import peak_memory, present_memory
from tests.support.platform import INTERFACE

asked = []
reading.require_memory = lambda needed, purpose: asked.append(needed)
before = present_memory()
reading.read_case(Path(argv[1]), INTERFACE)
print(asked[0], peak_memory() - before)
"""


@pytest.mark.parametrize("size", [(100, 100, 100), (300, 300, 250)])
def test_memory_that_is_asked_for_covers_resampling(input_dir: Path, size: tuple[int, int, int]) -> None:
    grid = Geometry((200, 200, 200), (1.0, 1.0, 1.0), GRID.origin, GRID.direction)
    other = replace(grid, size=size)
    save(input_dir / "images/pet/pet-of-case.mha", np.zeros(grid.shape, np.float32), grid)
    save(input_dir / "images/ct/ct-of-case.mha", np.zeros(other.shape, np.float32), other)
    asked, taken = map(int, run_python(MEMORY_OF_READING, input_dir).split())
    assert 0.85 * taken < asked < 1.15 * taken
