"""Images as `build.sh` makes them; without a Docker engine these tests are skipped, but in CI they fail."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from common import algorithms
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom

ROOT = Path(__file__).parents[2]
ALGORITHM = "autopet_interactive"


@pytest.fixture(scope="session")
def version():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="session")
def engine():
    """A Docker engine that answers."""
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if "CI" in os.environ:
            pytest.fail(f"no Docker: {error}")
        pytest.skip("skipped: no Docker")


@pytest.fixture(scope="session")
def image(engine, version):
    """The algorithm's image, built from this checkout."""
    subprocess.run([ROOT / "build.sh", ALGORITHM], check=True, stdin=subprocess.DEVNULL)
    return f"{ALGORITHM}:{version}"


@pytest.fixture(scope="session")
def cpu_image(image, version):
    """The same algorithm's image without NVIDIA's packages, as `build.sh --cpu` makes it."""
    tag = f"{ALGORITHM}-cpu:{version}"
    arguments = {"RUNTIME": f"petct-runtime:{version}", "ALGORITHM": ALGORITHM, "VERSION": version}
    options = [option for pair in arguments.items() for option in ("--build-arg", "=".join(pair))]
    dockerfile = str(ROOT / "docker/algorithm/Dockerfile")
    command = ["docker", "build", "--quiet", "--file", dockerfile, *options, "--tag", tag, str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    yield tag
    subprocess.run(["docker", "image", "rm", tag], check=True, capture_output=True)


@pytest.fixture(scope="session", params=algorithms.names())
def every_algorithm(engine, request):
    """Each algorithm's name, its image and its demo's model built from this checkout."""
    subprocess.run([ROOT / "build.sh", request.param], check=True, stdin=subprocess.DEVNULL)
    return request.param


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """An input folder; not to be changed."""
    folder = tmp_path_factory.mktemp("case")
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), folder / "input", folder / "case.mha")
    return folder / "input"


@pytest.fixture
def run_as_platform(image, golden_model, tmp_path):
    """Run the image on a case as the platform does, output to `tmp_path`; returns the ended process."""

    def run(case, *arguments, model=golden_model, memory=None):
        options = ["--memory", str(memory)] if memory else []
        command = [ROOT / "docker/as_platform.sh", *options, image, case, model, tmp_path, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run
