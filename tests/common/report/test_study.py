import shutil
from pathlib import Path

import numpy as np
import pytest

from common.grandchallenge.images import read_image
from common.report.study import find_mask, read_study
from tests.support.platform import GRID, refused, save


def test_a_study_has_images_lesions_and_what_the_truth_says(folder: Path) -> None:
    study = read_study(folder / "input", folder / "mask.mha", folder / "truth.mha")
    assert study.comparison
    assert len(study.lesions) == len(study.comparison.true) + 1
    assert not study.comparison.missed
    (false,) = study.comparison.false
    assert study.lesions[false - 1].volume == pytest.approx(27 * 0.512)
    assert study.ct is not None
    assert study.case.clicks


def test_ct_and_clicks_may_be_missing(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(folder / "input/images/pet", tmp_path / "input/images/pet")
    study = read_study(tmp_path / "input", folder / "mask.mha")
    assert (study.ct, study.case.clicks, study.comparison) == (None, (), None)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_an_output_folder_stands_for_its_mask(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "output/images/tumor-lesion-segmentation/case.mha"
    path.parent.mkdir(parents=True)
    shutil.copy(folder / "mask.mha", path)
    assert find_mask(tmp_path / "output") == path


def test_two_masks_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / "mask.mha", tmp_path / name)
    with refused(tmp_path, "images in 2 folders", "name it"):
        find_mask(tmp_path)
    with refused(tmp_path / "none"):
        read_study(folder / "input", tmp_path / "none")


def test_a_mask_on_another_grid_is_refused(folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.mha", np.ones(GRID.shape, np.uint8))
    grid = read_image(folder / "mask.mha").geometry
    with refused(other, "expected the case's grid", str(grid)):
        read_study(folder / "input", other)
