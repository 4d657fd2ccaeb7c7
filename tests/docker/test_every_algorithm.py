"""Every algorithm's image, with its demo model, under the platform's restrictions."""

import subprocess

import pytest

from common import algorithms
from common.cli.run import run
from common.grandchallenge.check import check_output
from common.grandchallenge.interface import Interface
from tests.docker.conftest import ROOT
from tests.support.containers import Serving

pytestmark = pytest.mark.docker


def test_mask_is_the_one_of_a_run_outside_the_container_by_either_way_to_call(
    every_algorithm, version, case, tmp_path
):
    algorithm, model = every_algorithm, ROOT / "build" / every_algorithm / "model"
    (tmp_path / "output").mkdir()
    command = [ROOT / "docker/as_platform.sh", f"{algorithm}:{version}", case, model, tmp_path / "output"]
    subprocess.run(command, check=True)
    found = check_output(case, tmp_path / "output", Interface.load(algorithms.interface_path(algorithm)))
    expected = run(algorithm, case, tmp_path / "outside", model)
    assert found.read_bytes() == expected.read_bytes()
    with Serving(f"{algorithm}-invoke:{version}", model, tmp_path / "input") as container:
        container.put(case)
        ended = container.invoke()
        assert ended.returncode == 0, ended.stderr
        served = container.output(tmp_path / "served") / expected.relative_to(tmp_path / "outside")
    assert served.read_bytes() == expected.read_bytes()
