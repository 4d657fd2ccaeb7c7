"""The platform's own runner, `sagemaker-shim`, on tasks in a stand-in of S3 on loopback.

The runner is the newest version on PyPI that a Python here takes; it wants 3.12 or later, in a virtual
environment of its own, which stays in build/.
"""

import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.platform import REPOSITORY, save_clicks

PREFIX = "GRAND_CHALLENGE_COMPONENT_"
INPUTS, OUTPUTS = "inputs", "outputs"
"""Buckets."""
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
ENVIRONMENT = REPOSITORY / "build" / "runner"
POINTS = [{"point": [16, 15, 10], "name": "tumor"}]
VERSIONS = ("3.12", "3.13", "3.14")
NOTHING = b64encode(b"null").decode()


@dataclass(frozen=True)
class Task:
    """One case: its files by their paths in the input folder."""

    pk: str
    files: dict[str, Path]
    timeout: str = "PT300S"


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    log: str
    results: Mapping[str, Any]
    """What the runner says of each task, by its key; tasks that were not begun are not there."""
    outputs: Mapping[str, Mapping[str, bytes]]
    """Each task's output files, by their paths."""


class Bucket:
    """The stand-in of S3."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=KEYS["AWS_DEFAULT_REGION"],
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  the stand-in takes any
        )
        for name in (INPUTS, OUTPUTS):
            place = {"LocationConstraint": KEYS["AWS_DEFAULT_REGION"]}
            self.client.create_bucket(Bucket=name, CreateBucketConfiguration=place)

    def put(self, path: Path, key: str) -> None:
        """Upload a file."""
        self.client.upload_file(str(path), INPUTS, key)

    def take(self, prefix: str) -> dict[str, bytes]:
        """Everything that a task has put out, which is removed."""
        found = self.client.list_objects_v2(Bucket=OUTPUTS, Prefix=f"{prefix}/").get("Contents", [])
        contents = {}
        for key in (entry["Key"] for entry in found):
            contents[key.removeprefix(f"{prefix}/")] = self.client.get_object(Bucket=OUTPUTS, Key=key)[
                "Body"
            ].read()
            self.client.delete_object(Bucket=OUTPUTS, Key=key)
        return contents


@contextmanager
def s3() -> Iterator[Bucket]:
    """A stand-in of S3 with empty buckets."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        # Servers of one process share what they hold.
        reset = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")  # noqa: S310  loopback
        urllib.request.urlopen(reset).close()  # noqa: S310
        yield Bucket(endpoint)
    finally:
        server.stop()


@cache
def runner() -> Path:
    """The runner's command; skips the test where no Python here takes it, which fails in CI."""
    command = ENVIRONMENT / "bin" / "sagemaker-shim"
    reasons = []
    for python in () if command.exists() else _pythons():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([python, "-m", "venv", ENVIRONMENT], check=True, capture_output=True)
        pip = [str(ENVIRONMENT / "bin" / "pip"), "install", "--quiet", "sagemaker-shim"]
        made = subprocess.run(pip, check=False, capture_output=True, text=True)
        if made.returncode == 0:
            break
        reasons.append(f"{python}: {made.stderr.strip().splitlines()[-1]}")
    if not command.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        reason = f"no Python takes the runner ({'; '.join(reasons) or 'none of 3.12 or later is here'})"
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"skipped: {reason}")
    return command


def _pythons() -> Iterator[Path]:
    for version in VERSIONS:
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "--version"], check=False, capture_output=True).returncode == 0:
            yield Path(found)
        yield from sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))


def environment(
    bucket: Bucket, entry_point: Sequence[str | Path], api: str, user: str = "", **others: object
) -> dict[str, str]:
    """The runner's variables; `others` are further ones, in small letters and without their prefix."""
    encoded = b64encode(json.dumps([str(part) for part in entry_point]).encode()).decode()
    given = {
        "entrypoint_b64j": encoded,
        "cmd_b64j": NOTHING,
        "user": user,
        "api_method": api,
        "model": f"s3://{INPUTS}/model.tar.gz",
        "runtime_output_bucket_name": OUTPUTS,
        "runtime_output_prefix": "job",
        "signing_key_hex": "00",
        "health_check_call_timeout_seconds": 1,
        "start_and_health_timeout_seconds": 30,
        "max_memory_mb": 7 * 1024,
        **others,
    }
    variables = {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}
    return {**KEYS, "AWS_S3_ENDPOINT_URL": bucket.endpoint, **variables}


def put_model(bucket: Bucket, model: Path, scratch: Path) -> None:
    """The model as the upload's tarball."""
    path = scratch / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tarball:
        for file in sorted(model.iterdir()):
            tarball.add(file, file.name)
    bucket.put(path, "model.tar.gz")


def definitions(bucket: Bucket, tasks: Sequence[Task]) -> str:
    """The tasks as the platform hands them over, their files uploaded."""
    listed = []
    for task in tasks:
        inputs = []
        for relative_path, file in task.files.items():
            key = f"{task.pk}/{relative_path}"
            bucket.put(file, key)
            inputs.append({"relative_path": relative_path, "bucket_name": INPUTS, "bucket_key": key})
        output = {"output_bucket_name": OUTPUTS, "output_prefix": task.pk}
        listed.append({"pk": task.pk, "inputs": inputs, "timeout": task.timeout, **output})
    return json.dumps(listed)


def ended(bucket: Bucket, tasks: Sequence[Task], log: str) -> Ended:
    """What has become of the tasks."""
    results, outputs = {}, {}
    for task in tasks:
        files = bucket.take(task.pk)
        if result := files.pop(".sagemaker_shim/inference_result.json", None):
            results[task.pk] = json.loads(result)
            outputs[task.pk] = files
    return Ended(log, results, outputs)


def task(pk: str, case: Path, folder: Path, *, key: str = "socket", clicks: str | None = None) -> Task:
    """The case as a task; its clicks are in a file, also in the list as a value, or not there."""
    files = {
        f"images/{name}/{name}-of-{pk}.mha": next((case / "images" / name).iterdir())
        for name in ("ct", "pet")
    }
    entries = [_listed(name, f"images/{name}", key, image={"name": "case.mha"}) for name in ("ct", "pet")]
    if clicks:
        path = save_clicks(folder / f"{pk}-clicks.json", POINTS)
        files["lesion-clicks.json"] = path
        value = {"value": json.loads(path.read_text())} if clicks == "value" else {"file": "clicks.json"}
        entries.append(_listed("lesion-clicks", "lesion-clicks.json", key, **value))
    files["inputs.json"] = folder / f"{pk}-inputs.json"
    files["inputs.json"].write_text(json.dumps(entries))
    return Task(pk, files)


def _listed(slug: str, relative_path: str, key: str, **value: object) -> dict[str, Any]:
    """An entry of the list, as the platform writes it."""
    description = {"pk": 1, "title": slug, "slug": slug, "relative_path": relative_path, "kind": "Anything"}
    return {key: description, "value": None, "file": None, "image": None, "pk": 7, **value}
