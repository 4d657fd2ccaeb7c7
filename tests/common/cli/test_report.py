from pathlib import Path

import numpy as np
import pytest

from common.cli.main import main
from tests.support.platform import GRID, save, save_case


@pytest.fixture
def case(tmp_path: Path) -> Path:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[2:5, 3:6, 3:6] = 1
    save(tmp_path / "mask.mha", mask)
    return save_case(tmp_path / "case")


def test_a_report_is_written_and_named(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["report", str(case), str(tmp_path / "mask.mha"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    out = capsys.readouterr()
    assert f"1 lesions: {tmp_path / 'out/report.html'}" in out.out
    assert out.err == ""


def test_a_case_of_no_pet_is_exit_code_2(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (case / "images/pet").rename(case / "images/mr")
    arguments = ["report", str(case), str(tmp_path / "mask.mha"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(case / "images/pet") in line
    assert not (tmp_path / "out").exists()


def test_a_log_is_of_one_case(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["report", str(case.parent), str(tmp_path), "--output", str(tmp_path / "out"), "--log", "a"]
    assert main(arguments) == 2
    assert "--log is of one case" in capsys.readouterr().err


def test_a_folder_without_a_case_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "no case, expected a folder with images/ in it" in capsys.readouterr().err
