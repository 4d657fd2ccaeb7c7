"""The whole command for an algorithm: masks, left-overs, and memory over many cases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.run import run
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from tests.support.servers import Server, running

ALGORITHM = "autopet_interactive"
QUICK = {"mirroring": "none", "folds": ["0"]}
OPTIONS = ("--mirroring", "none", "--folds", "0")
MASKS = "images/tumor-lesion-segmentation"
CASES = 50
AFTER = 5
MOST_GROWTH = 1.05


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Input folders; not to be changed."""
    folder = tmp_path_factory.mktemp("patients")
    for seed, shape in enumerate([(12, 20, 16), (14, 18, 16)]):
        phantom = make_phantom(seed, shape, (6.0, 4.0, 4.0))
        write_phantom(phantom, folder / f"input_{seed}", folder / f"patient-{seed}.mha")
    return [folder / "input_0", folder / "input_1"]


@pytest.fixture
def server(golden_model: Path, tmp_path: Path) -> Iterator[Server]:
    """One that started before there was any input."""
    folders = ("--input", tmp_path / "input", "--output", tmp_path / "output", "--model", golden_model)
    with running(tmp_path, ALGORITHM, *folders, *OPTIONS) as server:
        server.wait_until_healthy()
        yield server


def put(patient: Path, tmp_path: Path) -> None:
    """The patient's images are what lies in the input folder, alone."""
    shutil.rmtree(tmp_path / "input", ignore_errors=True)
    shutil.copytree(patient, tmp_path / "input")


def masks_in(output: Path) -> list[str]:
    return [path.name for path in (output / MASKS).iterdir()]


def test_masks_are_those_of_a_process_each_and_none_of_an_earlier_case_is_left(
    server: Server, patients: list[Path], golden_model: Path, tmp_path: Path
) -> None:
    for number in (0, 1, 0):
        put(patients[number], tmp_path)
        assert server.invoke().status == 201
        assert masks_in(tmp_path / "output") == [f"patient-{number}.mha"]
        alone = run(ALGORITHM, patients[number], tmp_path / "alone", golden_model, QUICK)
        assert (tmp_path / "output" / MASKS / alone.name).read_bytes() == alone.read_bytes()
        alone.unlink()
    assert server.stderr == ""


def test_the_line_of_a_case_is_the_logs_last_and_names_the_mask(
    server: Server, patients: list[Path], tmp_path: Path
) -> None:
    put(patients[0], tmp_path)
    line = server.invoke().line
    assert line.startswith("done: ")
    assert line.endswith(f"{MASKS}/patient-0.mha")
    assert server.stdout.splitlines()[-1].endswith(f"INFO {line}")


def test_a_case_without_an_image_is_422_and_leaves_no_mask(
    server: Server, patients: list[Path], tmp_path: Path
) -> None:
    put(patients[0], tmp_path)
    assert server.invoke().status == 201
    put(patients[1], tmp_path)
    (tmp_path / "input/images/pet/patient-1.mha").unlink()
    status, line, _ = server.invoke()
    assert status == 422
    assert "images/pet: 0 images" in line
    assert server.stderr == f"{line}\n"
    assert masks_in(tmp_path / "output") == []


def test_a_missing_input_folder_is_422(server: Server) -> None:
    assert server.invoke().status == 422


def test_an_altered_model_ends_the_server_with_exit_code_3(golden_model: Path, tmp_path: Path) -> None:
    altered = shutil.copytree(golden_model, tmp_path / "altered")
    with next(altered.glob("*.onnx")).open("ab") as network:
        network.write(b"\0")
    with running(tmp_path, ALGORITHM, "--model", altered) as server:
        assert server.wait() == 3
        (line,) = server.stderr.splitlines()
        assert "altered" in line


def test_memory_after_50_cases_is_that_after_5(server: Server, patients: list[Path], tmp_path: Path) -> None:
    memory = {}
    for case in range(1, CASES + 1):
        put(patients[case % 2], tmp_path)
        assert server.invoke().status == 201
        if case in (AFTER, CASES):
            memory[case] = server.memory()
    assert memory[CASES] < memory[AFTER] * MOST_GROWTH
