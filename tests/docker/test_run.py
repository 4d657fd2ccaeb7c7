"""The built container on a case, under the platform's restrictions."""

import shutil

import pytest
import SimpleITK

from common import algorithms
from common.cli.run import run
from common.grandchallenge.check import check_output
from common.grandchallenge.interface import Interface
from tests.docker.conftest import ALGORITHM

pytestmark = pytest.mark.docker

MIB = 2**20


def last_line(process):
    """What the platform shows its user."""
    return process.stderr.rstrip().splitlines()[-1]


def test_mask_is_the_one_of_a_run_outside_the_container(run_as_platform, case, golden_model, tmp_path):
    ended = run_as_platform(case)
    assert ended.returncode == 0, ended.stderr
    expected = run(ALGORITHM, case, tmp_path / "outside", golden_model)
    found = tmp_path / expected.relative_to(tmp_path / "outside")
    assert found.read_bytes() == expected.read_bytes()


def test_run_without_warnings_leaves_stderr_empty(run_as_platform, case):
    assert run_as_platform(case).stderr == ""


def test_platform_takes_the_output(run_as_platform, case, tmp_path):
    run_as_platform(case)
    interface = Interface.load(algorithms.interface_path(ALGORITHM))
    assert check_output(case, tmp_path, interface).is_file()


def test_log_ends_with_time_memory_and_the_mask(run_as_platform, case):
    line = run_as_platform(case).stdout.rstrip().splitlines()[-1]
    assert "done: " in line
    assert "peak memory " in line
    assert line.endswith("/output/images/tumor-lesion-segmentation/case.mha")


def test_wrong_input_is_exit_code_2_and_one_line(run_as_platform, case, tmp_path):
    broken = shutil.copytree(case, tmp_path / "broken")
    (broken / "images/pet/case.mha").unlink()
    ended = run_as_platform(broken)
    assert ended.returncode == 2
    assert last_line(ended).startswith("error: /input/images/pet")
    assert "Traceback" not in ended.stderr


def test_altered_model_is_exit_code_3_and_one_line(run_as_platform, case, golden_model, tmp_path):
    altered = shutil.copytree(golden_model, tmp_path / "altered")
    with next(altered.glob("*.onnx")).open("ab") as network:
        network.write(b"\0")
    ended = run_as_platform(case, model=altered)
    assert ended.returncode == 3
    assert "altered" in last_line(ended)


def test_too_little_memory_is_exit_code_4_rather_than_a_kill(run_as_platform, tmp_path):
    image = SimpleITK.Image((300, 300, 300), SimpleITK.sitkFloat32)
    for socket in ("ct", "pet"):
        folder = tmp_path / "large/images" / socket
        folder.mkdir(parents=True)
        SimpleITK.WriteImage(image, folder / "case.mha", useCompression=True)
    ended = run_as_platform(tmp_path / "large", memory=400 * MIB)
    assert ended.returncode == 4, ended.stderr
    assert "memory" in last_line(ended)
    assert not list(tmp_path.glob("images/**/*.*"))
