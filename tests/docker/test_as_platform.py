"""What `docker/as_platform.sh`, which all runs here and in `test.sh` go through, leaves a container."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docker.conftest import ROOT

pytestmark = pytest.mark.docker

GIB = 2**30
TMP = "/tmp"  # noqa: S108


@pytest.fixture(scope="module")
def found(image, version, tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    dockerfile = f'FROM petct-runtime:{version}\nENTRYPOINT ["python", "/opt/ml/model/probe.py"]\n'
    probe = subprocess.check_output(["docker", "build", "--quiet", "-"], input=dockerfile, text=True).strip()
    for name in ("input", "model", "output"):
        (folder / name).mkdir()
    (folder / "input/case.txt").touch()
    shutil.copy(Path(__file__).with_name("probe.py"), folder / "model")
    folders = (folder / "input", folder / "model", folder / "output")
    subprocess.run([ROOT / "docker/as_platform.sh", "--memory", str(GIB), probe, *folders], check=True)
    subprocess.run(["docker", "image", "rm", probe], check=True, capture_output=True)
    return json.loads((folder / "output/found.json").read_text())


def test_user_has_no_privileges(found):
    assert found["user"] != 0
    assert found["capabilities"] == 0
    assert found["no new privileges"] == 1


def test_network_is_none(found):
    assert found["networks"] == ["lo"]


def test_only_output_and_tmp_are_writable(found):
    assert found["writable"] == ["/output", TMP]


def test_input_is_there_and_tmp_is_empty(found):
    assert found["files"] == {"/input": ["case.txt"], TMP: []}


def test_memory_is_limited_the_platforms_way(found):
    assert found["data limit"] == GIB
