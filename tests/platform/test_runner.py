"""The commands under the platform's own runner: as processes, with what it hands over and takes back."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.run import run
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from tests.support.platform import REPOSITORY, save_clicks
from tests.support.runner import (
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

ALGORITHM = "autopet_interactive"
MASKS = "images/tumor-lesion-segmentation"
APIS = ("exec", "invoke")


@pytest.fixture(scope="module")
def bucket(golden_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    runner()
    with s3() as bucket:
        put_model(bucket, golden_model, tmp_path_factory.mktemp("tarball"))
        yield bucket


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), folder / "input", folder / "case.mha")
    return folder / "input"


def work(bucket: Bucket, api: str, folder: Path, *tasks: Task) -> Ended:
    """Let the runner work on tasks in one job."""
    folders = {name: folder / "job" / name for name in ("input", "output", "model", "linked")}
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "common.cli.main", "run" if api == "exec" else "serve", ALGORITHM]
    command += [part for name in ("input", "output", "model") for part in (f"--{name}", str(folders[name]))]
    command += ["--port", str(port)] if api == "invoke" else []
    variables = environment(
        bucket,
        command,
        api,
        input_path=folders["input"],
        output_path=folders["output"],
        linked_input_parent=folders["linked"],
        model_dest=folders["model"],
        writable_directories=folders["model"],
        post_clean_directories=folders["model"],
        user_webserver_port=port,
    )
    job = [str(runner()), "invoke", "--tasks", definitions(bucket, tasks)]
    environ = os.environ | variables | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.run(job, check=False, capture_output=True, text=True, env=environ, timeout=300)
    assert process.returncode == 0, process.stderr
    return ended(bucket, tasks, process.stdout + process.stderr)


def expected(case: Path, model: Path, folder: Path, clicks: bool) -> bytes:
    """The mask of a run without a runner."""
    shutil.copytree(case / "images", folder / "input" / "images")
    if clicks:
        save_clicks(folder / "input" / "lesion-clicks.json", POINTS)
    return run(ALGORITHM, folder / "input", folder / "output", model).read_bytes()


@pytest.mark.parametrize("api", APIS)
def test_every_case_of_a_job_has_the_mask_of_a_run_alone(
    bucket: Bucket, api: str, case: Path, golden_model: Path, tmp_path: Path
) -> None:
    tasks = [
        task("one", case, tmp_path, key="interface", clicks="file"),
        task("two", case, tmp_path, key="socket", clicks="value"),
        task("three", case, tmp_path),
    ]
    found = work(bucket, api, tmp_path, *tasks)
    assert {pk: result["return_code"] for pk, result in found.results.items()} == {
        "one": 0,
        "two": 0,
        "three": 0,
    }
    for pk, clicks in (("one", True), ("two", True), ("three", False)):
        mask = expected(case, golden_model, tmp_path / pk, clicks)
        assert found.outputs[pk] == {f"{MASKS}/ct-of-{pk}.mha": mask}


@pytest.mark.parametrize("api", APIS)
def test_a_wrong_case_ends_the_job_with_one_line_on_stderr(
    bucket: Bucket, api: str, case: Path, tmp_path: Path
) -> None:
    wrong = task("wrong", case, tmp_path)
    del wrong.files["images/pet/pet-of-wrong.mha"]
    found = work(bucket, api, tmp_path, wrong, task("never", case, tmp_path))
    assert found.results["wrong"]["return_code"] == (2 if api == "exec" else 1)
    assert found.results.keys() == {"wrong"}
    assert not found.outputs["wrong"]
    lines = [line for line in found.results["wrong"]["user_process_last_stderr_lines"] if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "images/pet" in lines[0]


@pytest.mark.parametrize("api", APIS)
def test_a_wrong_model_ends_the_job_before_any_case(
    bucket: Bucket, api: str, case: Path, golden_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    put_model(bucket, tmp_path / "empty", tmp_path)
    try:
        found = work(bucket, api, tmp_path, task("any", case, tmp_path))
    finally:
        put_model(bucket, golden_model, tmp_path)
    assert "error: " in found.log
    if api == "exec":
        assert found.results["any"]["return_code"] == 3
    else:
        assert not found.results
