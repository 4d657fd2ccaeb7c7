from pathlib import Path

import numpy as np
import pytest

from common.cli.main import main
from common.cohort.manifest import Entry, read_manifest
from tests.support.dicom_phantoms import write_pet
from tests.support.platform import GRID, refused, save_case


def test_a_table_names_cases_inputs_and_truths_relative_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\ufefftruth,case,input\n,a,x/a\nt/b.mha,b,/data/b\n", encoding="utf-8")
    assert read_manifest(path) == [
        Entry("a", str(tmp_path / "x/a")),
        Entry("b", "/data/b", str(tmp_path / "t/b.mha")),
    ]


def test_a_folders_cases_are_those_of_the_platform_and_of_dicom(tmp_path: Path) -> None:
    save_case(tmp_path / "b")
    write_pet(tmp_path / "a/series", np.ones(GRID.shape), GRID)
    (tmp_path / "notes").mkdir()
    assert [entry.case for entry in read_manifest(tmp_path)] == ["a", "b"]


def test_phantoms_are_a_cohort(tmp_path: Path) -> None:
    shape = ["--shape", "20", "30", "32", "--spacing", "6", "4", "4"]
    assert main(["phantom", "--output", str(tmp_path), "--cohort", "2", "--seed", "5", *shape]) == 0
    entries = read_manifest(tmp_path)
    assert [entry.case for entry in entries] == ["phantom_5", "phantom_6"]
    assert all(Path(entry.input, "images/pet").is_dir() and Path(entry.truth).is_file() for entry in entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,input\na,b\n", "no column case (found name, input)"),
        ("", "no column case, input (found nothing)"),
        ("case,input\n", "no case, expected folders"),
        ("case,input\na,\n", "a row without a case or an input"),
        ("case,input\na,x\na,y\n", "the case 'a' occurs twice"),
        ("case,input\n../a,x\n", "'../a' is no name of a folder"),
        ("case,input\n.a,x\n", "'.a' is no name of a folder"),
    ],
    ids=str,
)
def test_a_table_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with refused(path, message):
        read_manifest(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with refused(tmp_path / "list.csv", "not a table"):
        read_manifest(tmp_path / "list.csv")
    with refused(tmp_path / "none.csv", "not a table"):
        read_manifest(tmp_path / "none.csv")
