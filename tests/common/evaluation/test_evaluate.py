import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from common.errors import InputError
from common.evaluation.evaluate import evaluate, summarise, table, write_json

SPACING = (2.0, 4.0, 5.0)
VOXEL_ML = 0.04


def cube(size: int, *, at: int = 0) -> NDArray[np.uint8]:
    volume = np.zeros((8, 8, 8), np.uint8)
    volume[at : at + size, at : at + size, at : at + size] = 1
    return volume


def write(path: Path, volume: NDArray[np.uint8], spacing: tuple[float, float, float] = SPACING) -> None:
    path.parent.mkdir(exist_ok=True)
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    for name, volume in {"half": cube(2), "healthy": cube(0), "missed": cube(2)}.items():
        write(tmp_path / "truth" / f"{name}.mha", volume)
    return tmp_path / "truth"


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    for name, volume in {"half": cube(1), "healthy": cube(3), "missed": cube(2, at=5)}.items():
        write(tmp_path / "prediction" / f"{name}.mha", volume)
    return tmp_path / "prediction"


def test_cases_are_paired_by_name(truth: Path, prediction: Path) -> None:
    half, healthy, missed = evaluate(truth, prediction)
    assert [half.case, healthy.case, missed.case] == ["half", "healthy", "missed"]
    assert half.metrics.dice == pytest.approx(2 / 9)
    assert half.metrics.volume_difference == pytest.approx(-7 * VOXEL_ML)
    assert math.isnan(healthy.metrics.dice)
    assert healthy.metrics.false_positive == pytest.approx(27 * VOXEL_ML)
    assert missed.metrics.dice == 0
    assert missed.metrics.false_negative == pytest.approx(8 * VOXEL_ML)


def test_one_label_is_compared_where_one_is_named(tmp_path: Path) -> None:
    write(tmp_path / "truth" / "case.mha", cube(2) + 2 * cube(3, at=4))
    write(tmp_path / "prediction" / "case.mha", cube(2) + 2 * cube(3, at=5))
    folders = tmp_path / "truth", tmp_path / "prediction"
    dice = {label: evaluate(*folders, label)[0].metrics.dice for label in (None, 1, 2, 3)}
    assert dice[None] == pytest.approx(2 * 16 / 70)
    assert dice[1] == 1
    assert dice[2] == pytest.approx(2 * 8 / 54)
    assert math.isnan(dice[3])


def test_summary_leaves_healthy_patients_out_of_the_dice(truth: Path, prediction: Path) -> None:
    summary = summarise(evaluate(truth, prediction))
    assert summary.cases == 3
    assert summary.mean_dice == pytest.approx(1 / 9)
    assert summary.median_dice == pytest.approx(1 / 9)
    assert summary.false_positive == pytest.approx(35 * VOXEL_ML)
    assert summary.false_negative == pytest.approx(8 * VOXEL_ML)


def test_table_has_a_line_per_case_and_the_summary(truth: Path, prediction: Path) -> None:
    lines = table(evaluate(truth, prediction)).splitlines()
    assert lines[0].split()[:2] == ["case", "Dice"]
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["half", "0.222"],
        ["healthy", "-"],
        ["missed", "0.000"],
    ]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "0.111 (mean)" in lines[-1]


def test_json_has_null_where_there_is_no_number(truth: Path, prediction: Path, tmp_path: Path) -> None:
    write_json(evaluate(truth, prediction), tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert [case["dice"] is None for case in document["cases"]] == [False, True, False]
    assert document["summary"]["mean_dice"] == pytest.approx(1 / 9)


def test_compressed_nifti_is_compared_with_mha(truth: Path, tmp_path: Path) -> None:
    for path in truth.iterdir():
        (tmp_path / "nifti").mkdir(exist_ok=True)
        image = SimpleITK.ReadImage(str(path))
        SimpleITK.WriteImage(image, str(tmp_path / "nifti" / f"{path.stem}.nii.gz"))
    assert summarise(evaluate(truth, tmp_path / "nifti")).mean_dice == 1


def test_extensions_in_capitals_are_taken(truth: Path, prediction: Path) -> None:
    (prediction / "half.mha").rename(prediction / "half.MHA")
    (truth / "missed.mha").rename(truth / "missed.Mha")
    assert [result.case for result in evaluate(truth, prediction)] == ["half", "healthy", "missed"]


def test_a_missing_prediction_is_named(truth: Path, prediction: Path) -> None:
    (prediction / "half.mha").unlink()
    with pytest.raises(InputError, match=r"prediction: no image named 'half' .*truth/half\.mha"):
        evaluate(truth, prediction)


def test_a_prediction_without_truth_is_named(truth: Path, prediction: Path) -> None:
    write(prediction / "extra.mha", cube(1))
    with pytest.raises(InputError, match=r"truth: no image named 'extra'"):
        evaluate(truth, prediction)


def test_another_grid_is_refused(truth: Path, prediction: Path) -> None:
    write(prediction / "missed.mha", cube(2), spacing=(2.0, 4.0, 6.0))
    with pytest.raises(InputError, match=r"prediction/missed\.mha: .*6\.0.*expected the grid of"):
        evaluate(truth, prediction)


def test_a_folder_without_masks_is_refused(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no image"):
        evaluate(truth, tmp_path / "empty")
    with pytest.raises(InputError, match="absent: No such file"):
        evaluate(tmp_path / "absent", truth)


def test_two_files_of_one_case_are_refused(truth: Path, prediction: Path) -> None:
    write(prediction / "half.nii.gz", cube(1))
    with pytest.raises(InputError, match="expected one file a case"):
        evaluate(truth, prediction)


def test_an_unwritable_json_file_is_named(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent/out\.json"):
        write_json(evaluate(truth, truth), tmp_path / "absent" / "out.json")
