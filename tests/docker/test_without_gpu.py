"""The image for GPUs, and the one for CPUs alone, without a GPU and on a model that has engines for GPUs."""

import subprocess

import pytest

from tests.docker.conftest import ALGORITHM, ROOT

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def model(image):
    """The demo's model, as `build.sh` exports it."""
    folder = ROOT / "build" / ALGORITHM / "model"
    assert list(folder.glob("*.engine"))
    return folder


@pytest.fixture(scope="module")
def run(case, model, tmp_path_factory):
    """Run an image without any GPU; returns its masks by their names, and its log."""

    def run(image):
        output = tmp_path_factory.mktemp("output")
        command = [ROOT / "docker/as_platform.sh", "--no-gpu", image, case, model, output]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        assert ended.stderr == ""
        return {path.relative_to(output): path.read_bytes() for path in output.rglob("*.mha")}, ended.stdout

    return run


@pytest.fixture(scope="module")
def with_packages_for_gpus(run, image):
    return run(image)


def test_mask_is_the_one_of_the_image_for_cpus(run, with_packages_for_gpus, cpu_image):
    masks, _ = with_packages_for_gpus
    assert len(masks) == 1
    assert masks == run(cpu_image)[0]


def test_one_line_says_why_the_engine_was_not_used(with_packages_for_gpus):
    _, log = with_packages_for_gpus
    (line,) = [line for line in log.splitlines() if "engine tensorrt" in line]
    assert "GPU" in line or "driver" in line
    assert "going on with" in line
