"""The images under the platform's own runner, which starts in them as root and drops to the image's user."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.run import run
from common.grandchallenge.image_archive import API_LABEL, APIS
from tests.docker.conftest import ALGORITHM
from tests.support.containers import docker
from tests.support.platform import save_clicks
from tests.support.runner import (
    ENVIRONMENT,
    POINTS,
    Bucket,
    Ended,
    Task,
    definitions,
    ended,
    environment,
    put_model,
    runner,
    s3,
    task,
)

pytestmark = pytest.mark.docker

MASKS = "images/tumor-lesion-segmentation"
TIMEOUT = 300


@pytest.fixture(scope="module")
def bucket(golden_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    runner()
    with s3() as bucket:
        put_model(bucket, golden_model, tmp_path_factory.mktemp("tarball"))
        yield bucket


@pytest.fixture(scope="module", params=APIS)
def tag(request: pytest.FixtureRequest, image: str, version: str) -> str:
    """The image for each way to call."""
    tag = image if request.param == "exec" else f"{ALGORITHM}-invoke:{version}"
    started = docker(*mounted(tag, ENVIRONMENT / "bin/python"), "--version", check=False)
    if started.returncode != 0:
        reason = f"the runner's Python does not start in the image ({started.stderr.strip()})"
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"skipped: {reason}")
    return tag


def mounted(tag: str, program: Path, **variables: str) -> list[str]:
    """A container of the image in which the runner and its Python lie where they lie here."""
    python = (ENVIRONMENT / "bin/python").resolve().parents[1]
    options = ["run", "--rm", "--network", "host", "--user", "0", "--entrypoint", str(program)]
    options += [part for path in (ENVIRONMENT, python) for part in ("--volume", f"{path}:{path}:ro")]
    options += [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return [*options, tag]


def work(bucket: Bucket, tag: str, *tasks: Task) -> Ended:
    """Let the runner work on tasks in one job, in a container of the image."""
    config = json.loads(docker("image", "inspect", tag).stdout)[0]["Config"]
    api = config["Labels"][API_LABEL]
    variables = environment(bucket, config["Entrypoint"], api, config["User"])
    command = [
        "docker",
        *mounted(tag, runner(), **variables),
        "invoke",
        "--tasks",
        definitions(bucket, tasks),
    ]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert process.returncode == 0, process.stderr
    return ended(bucket, tasks, process.stdout + process.stderr)


def test_every_case_of_a_job_has_the_mask_of_a_run_alone(
    bucket: Bucket, tag: str, case: Path, golden_model: Path, tmp_path: Path
) -> None:
    tasks = [
        task("one", case, tmp_path, key="interface", clicks="file"),
        task("two", case, tmp_path, key="socket", clicks="value"),
    ]
    found = work(bucket, tag, *tasks)
    assert {pk: result["return_code"] for pk, result in found.results.items()} == {"one": 0, "two": 0}
    clicked = tmp_path / "clicked"
    clicked.mkdir()
    (clicked / "images").symlink_to(case / "images")
    save_clicks(clicked / "lesion-clicks.json", POINTS)
    mask = run(ALGORITHM, clicked, tmp_path / "output", golden_model).read_bytes()
    assert found.outputs == {pk: {f"{MASKS}/ct-of-{pk}.mha": mask} for pk in ("one", "two")}


def test_a_wrong_case_ends_the_job_with_one_line_on_stderr(
    bucket: Bucket, tag: str, case: Path, tmp_path: Path
) -> None:
    wrong = task("wrong", case, tmp_path)
    del wrong.files["images/pet/pet-of-wrong.mha"]
    found = work(bucket, tag, wrong)
    assert found.results["wrong"]["return_code"] != 0
    assert not found.outputs["wrong"]
    lines = [line for line in found.results["wrong"]["user_process_last_stderr_lines"] if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: /input/images/pet")
