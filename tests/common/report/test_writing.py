import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.report.study import read_study
from common.report.writing import facts_of, write_report
from tests.support.platform import refused, save


def test_page_picture_and_numbers_agree(folder: Path, tmp_path: Path) -> None:
    study = read_study(folder / "input", folder / "mask.mha", folder / "truth.mha")
    write_report(study, tmp_path / "new/report")
    files = {path.name: path for path in (tmp_path / "new/report").iterdir()}
    assert files.keys() == {"report.html", "report.png", "report.json", "lesions.csv"}
    document = json.loads(files["report.json"].read_text())
    with files["lesions.csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(document["lesions"]) == document["totals"]["lesions"] == len(study.lesions)
    for row, described in zip(rows, document["lesions"], strict=True):
        assert float(row["suv_peak"]) == described["suv_peak"]
        assert float(row["centroid_z"]) == described["centroid"][2]
    assert document["totals"]["volume"] == pytest.approx(sum(float(row["volume"]) for row in rows))
    assert document["truth"]["false"] == sorted(study.comparison.false) if study.comparison else False
    assert np.ptp(np.asarray(Image.open(files["report.png"]).convert("L"))) > 200


def test_a_mask_without_a_lesion_has_a_report(folder: Path, tmp_path: Path) -> None:
    truth = read_study(folder / "input", folder / "truth.mha")
    empty = save(tmp_path / "empty.mha", np.zeros(truth.numbers.shape, np.uint8), truth.geometry)
    study = read_study(folder / "input", empty, empty)
    assert "no lesion there" in write_report(study, tmp_path).read_text()
    assert "Dice" not in facts_of(study)
    assert json.loads((tmp_path / "report.json").read_text())["truth"]["metrics"]["dice"] is None


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    study = read_study(folder / "input", folder / "mask.mha")
    with refused(tmp_path / "file", "give an --output folder that can be written"):
        write_report(study, tmp_path / "file")
