"""The image that waits for calls, under the platform's restrictions, as process 1."""

import json
import subprocess

import numpy as np
import pytest
import SimpleITK

from common.cli.run import run
from tests.docker.conftest import ALGORITHM
from tests.support.containers import Serving, docker

pytestmark = pytest.mark.docker

MASKS = "images/tumor-lesion-segmentation"
ENDS_WITHIN = 5.0


@pytest.fixture
def container(image, version, golden_model, tmp_path):
    with Serving(f"{ALGORITHM}-invoke:{version}", golden_model, tmp_path / "input") as container:
        yield container


@pytest.fixture
def long_case(tmp_path):
    """One of many tiles."""
    folder = tmp_path / "long"
    noise = np.random.default_rng(0).standard_normal((120, 160, 160)).astype(np.float32)
    for socket in ("ct", "pet"):
        (folder / "images" / socket).mkdir(parents=True)
        image = SimpleITK.GetImageFromArray(noise)
        image.SetSpacing((4.0, 4.0, 4.0))
        SimpleITK.WriteImage(image, folder / "images" / socket / "case.mha")
    return folder


def test_images_differ_in_label_and_entry_point_alone(image, version):
    for_run, for_serve = (
        json.loads(docker("image", "inspect", tag).stdout)[0]
        for tag in (image, f"{ALGORITHM}-invoke:{version}")
    )
    assert for_run["RootFS"] == for_serve["RootFS"]
    both = [description["Config"] for description in (for_run, for_serve)]
    label = "org.grand-challenge.api-method"
    assert [config["Labels"].pop(label) for config in both] == ["exec", "invoke"]
    assert [config["Entrypoint"][1:] for config in both] == [["run"], ["serve"]]
    for name in ("Env", "User", "Labels", "Cmd", "WorkingDir"):
        assert both[0][name] == both[1][name]


def test_mask_of_every_case_is_the_one_of_a_run_outside_the_container(
    container, case, golden_model, tmp_path
):
    for number in range(2):
        container.put(case)
        ended = container.invoke()
        assert ended.returncode == 0, ended.stderr
        expected = run(ALGORITHM, case, tmp_path / "outside", golden_model)
        found = container.output(tmp_path / f"output_{number}") / MASKS / expected.name
        assert found.read_bytes() == expected.read_bytes()
    assert container.logs().stderr == ""


def test_wrong_input_is_exit_code_2_and_one_line_and_leaves_no_mask(container, case, tmp_path):
    container.put(case)
    assert container.invoke().returncode == 0
    (container.input / "images/pet/case.mha").unlink()
    ended = container.invoke()
    assert ended.returncode == 2
    (line,) = container.logs().stderr.splitlines()
    assert line.startswith("error: /input/images/pet")
    assert line.removeprefix("error: ") in ended.stderr
    assert list((container.output(tmp_path / "output") / MASKS).iterdir()) == []


def test_sigterm_ends_an_idle_container_with_exit_code_0(container, case):
    container.put(case)
    assert container.invoke().returncode == 0
    code, seconds = container.stop()
    assert code == 0
    assert seconds < ENDS_WITHIN


def test_sigterm_ends_a_case_with_exit_code_4_and_one_line(container, long_case, tmp_path):
    container.put(long_case)
    command = ["docker", "exec", container.id, "petct", "invoke"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as client:
        container.wait_for("tiles of fold 0")
        code, seconds = container.stop()
        assert client.wait(ENDS_WITHIN) != 0
    assert code == 4
    assert seconds < ENDS_WITHIN
    *warnings, line = container.logs().stderr.splitlines()
    assert line.startswith("error: the case was ended before its mask was there")
    assert all(" WARNING " in warning for warning in warnings), warnings
    assert list((container.output(tmp_path / "output") / MASKS).iterdir()) == []
