"""Twelve phantoms, two of them damaged, through the command line and Snakemake."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.cli.main import main
from common.cohort.outcome import read_outcome
from common.grandchallenge.images import find_image
from tests.support.logs import own_logging
from tests.support.platform import REPOSITORY

CASES = 12
DAMAGED = ("phantom_3", "phantom_7")
TIMEOUT = 600.0
Rows = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    shape = ["--shape", "20", "30", "32", "--spacing", "6", "4", "4"]
    with own_logging():
        assert main(["phantom", "--output", str(folder), "--cohort", str(CASES), *shape]) == 0
    for name in DAMAGED:
        image = find_image(folder / name / "images/pet")
        image.write_bytes(image.read_bytes()[:1000])
    return folder


def arguments(cohort: Path, model: Path, output: Path, *options: str) -> list[str]:
    folders = ["--model", str(model), "--output", str(output)]
    return ["cohort", str(cohort), "--algorithm", "autopet_interactive", *folders, *options]


def rows(output: Path) -> Rows:
    with (output / "cases.csv").open() as file:
        return {row["case"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def output(cohort: Path, golden_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a whole cohort leaves."""
    output = tmp_path_factory.mktemp("output") / "new"
    with own_logging():
        assert main(arguments(cohort, golden_model, output, "--jobs", "2", "--batch", "4")) == 4
    return output


def test_every_case_is_a_row_and_a_damaged_one_does_not_stop_the_rest(output: Path) -> None:
    found = rows(output)
    assert len(found) == CASES
    assert {name for name, row in found.items() if row["failure"]} == set(DAMAGED)
    for name in DAMAGED:
        assert f"{name}.mha: damaged or cut short" in found[name]["failure"]
        assert not (output / name / "report.html").exists()
    for name in found.keys() - set(DAMAGED):
        assert float(found[name]["seconds"]) > 0
        assert (output / name / "report.html").is_file()


def test_masks_are_those_of_a_process_each(
    cohort: Path, golden_model: Path, output: Path, tmp_path: Path
) -> None:
    for name in ("phantom_0", "phantom_11"):
        folders = [
            "--input",
            str(cohort / name),
            "--output",
            str(tmp_path / name),
            "--model",
            str(golden_model),
        ]
        assert main(["run", "autopet_interactive", *folders]) == 0
        path = f"images/tumor-lesion-segmentation/{name}.mha"
        assert (output / name / "output" / path).read_bytes() == (tmp_path / name / path).read_bytes()


def test_cases_with_an_outcome_are_not_worked_on_again(
    cohort: Path, golden_model: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (output / "phantom_0/outcome.json").stat().st_mtime_ns
    assert main(arguments(cohort, golden_model, output)) == 4
    out = capsys.readouterr()
    assert "0 of 12 cases are left" in out.out
    assert out.err == f"error: 2 of 12 cases have no mask; {output / 'index.html'} says why\n"
    assert (output / "phantom_0/outcome.json").stat().st_mtime_ns == before


def test_a_dry_run_says_what_would_run_and_how_long_and_does_nothing(
    cohort: Path, golden_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(cohort, golden_model, tmp_path / "out", "--dry-run", "--batch", "8")) == 0
    out = capsys.readouterr().out
    assert "12 of 12 cases are left" in out
    assert "a job of 8 cases, " in out
    assert "min on this machine, with 1 at a time" in out
    assert not list((tmp_path / "out").glob("phantom_*"))


def test_a_cohort_that_was_killed_goes_on_where_it_was(
    cohort: Path, golden_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "common.cli.main", *arguments(cohort, golden_model, tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, start_new_session=True, env=environment)
    deadline = time.monotonic() + TIMEOUT
    while not list(tmp_path.glob("out/*/report.html")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path.parent.name for path in tmp_path.glob("out/*/report.html")}
    kept = {name: (tmp_path / "out" / name / "outcome.json").stat().st_mtime_ns for name in sorted(done)[:-1]}
    assert main(arguments(cohort, golden_model, tmp_path / "out")) == 4
    assert {name for name, row in rows(tmp_path / "out").items() if row["failure"]} == set(DAMAGED)
    for name, moment in kept.items():
        assert (tmp_path / "out" / name / "outcome.json").stat().st_mtime_ns == moment
    assert read_outcome(tmp_path / "out/phantom_0")


def test_nothing_is_written_outside_the_output(output: Path) -> None:
    assert json.loads((output / "settings.json").read_text())["algorithm"] == "autopet_interactive"
    assert not (REPOSITORY / ".snakemake").exists()


def test_container_and_image_go_together(
    cohort: Path, golden_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(cohort, golden_model, tmp_path, "--image", "gepnet:1")) == 2
    assert "--container and --image go together" in capsys.readouterr().err
