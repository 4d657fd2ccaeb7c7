"""Every algorithm's image, with its demo model, under the platform's restrictions."""

import subprocess

import pytest

from common import algorithms
from common.cli.run import run
from common.grandchallenge.check import check_output
from common.grandchallenge.interface import Interface
from tests.docker.conftest import ROOT

pytestmark = pytest.mark.docker


def test_mask_is_the_one_of_a_run_outside_the_container(every_algorithm, version, case, tmp_path):
    algorithm, model = every_algorithm, ROOT / "build" / every_algorithm / "model"
    (tmp_path / "output").mkdir()
    command = [ROOT / "docker/as_platform.sh", f"{algorithm}:{version}", case, model, tmp_path / "output"]
    subprocess.run(command, check=True)
    found = check_output(case, tmp_path / "output", Interface.load(algorithms.interface_path(algorithm)))
    expected = run(algorithm, case, tmp_path / "outside", model)
    assert found.read_bytes() == expected.read_bytes()
