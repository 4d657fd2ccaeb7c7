from pathlib import Path

import numpy as np
import pytest

from common.cli.run import run
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.grandchallenge.images import read_image
from common.session import Session
from common.viewer.cache import Remembered, RememberingPool
from tests.support.platform import save_clicks

ALGORITHM = "autopet_interactive"
POINT = {"point": [16, 15, 10], "name": "tumor"}
MANY = 1 << 40


@pytest.fixture
def case(tmp_path: Path) -> Path:
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), tmp_path / "input", tmp_path / "truth.mha")
    return tmp_path / "input"


def segment(session: Session, case: Path, output: Path) -> Path:
    return session.segment(case, output, 0.0)


def test_after_a_click_the_mask_is_that_of_a_whole_run_and_few_tiles_are_computed(
    case: Path, golden_model: Path, tmp_path: Path
) -> None:
    pool = RememberingPool("auto", "float32", MANY)
    session = Session(ALGORITHM, golden_model, {"time_limit": None}, engines=pool)
    segment(session, case, tmp_path / "output")
    assert pool.remembered.reused == 0
    tiles = pool.remembered.computed

    save_clicks(case / "lesion-clicks.json", [POINT])
    segment(session, case, tmp_path / "output")
    pool.remembered.count()
    save_clicks(case / "lesion-clicks.json", [POINT, {"point": [2, 2, 2], "name": "background"}])
    found = segment(session, case, tmp_path / "output")
    assert pool.remembered.computed + pool.remembered.reused == tiles
    assert 0 < pool.remembered.computed < tiles

    expected = run(ALGORITHM, case, tmp_path / "expected", golden_model, {"time_limit": None})
    assert found.read_bytes() == expected.read_bytes()
    assert read_image(found).voxels.any()


def test_the_same_clicks_compute_nothing(case: Path, golden_model: Path, tmp_path: Path) -> None:
    pool = RememberingPool("auto", "float32", MANY)
    session = Session(ALGORITHM, golden_model, {"time_limit": None}, engines=pool)
    first = segment(session, case, tmp_path / "output").read_bytes()
    pool.remembered.count()
    assert segment(session, case, tmp_path / "output").read_bytes() == first
    assert pool.remembered.computed == 0


def test_no_more_is_kept_than_there_is_room_for() -> None:
    remembered = Remembered(max_bytes=100)
    for key in (b"a", b"b"):
        remembered.put(key, np.zeros(20, np.float32))
    assert remembered.get(b"a") is not None
    assert remembered.get(b"b") is None


def test_what_is_given_out_may_be_overwritten() -> None:
    remembered = Remembered(max_bytes=MANY)
    logits = np.ones(3, np.float32)
    remembered.put(b"a", logits)
    logits[:] = 5
    first = remembered.get(b"a")
    assert first is not None
    first[:] = 7
    np.testing.assert_array_equal(remembered.get(b"a"), np.ones(3))
