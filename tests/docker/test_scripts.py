"""`build.sh`, `test.sh` and `export.sh`: what they refuse, and what is in the files to upload."""

import json
import re
import shutil
import subprocess
import tarfile
from typing import get_args

import pytest

from common.grandchallenge.image_archive import API_LABEL, APIS
from common.grandchallenge.interface import Instance
from tests.docker.conftest import ALGORITHM, ROOT

BASE = "python:3.11-slim-bookworm"
PROJECT = (
    *("test.sh", "export.sh", "docker/lib.sh", "docker/venv.sh", "pyproject.toml", "README.md"),
    "docker/release/requirements.txt",
)


def run(*command, cwd=ROOT):
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def image_id(tag):
    return run("docker", "image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()


@pytest.mark.parametrize("script", ["build.sh", "test.sh", "export.sh"])
def test_unknown_algorithm_is_named_with_those_there_are(script):
    ended = run(ROOT / script, "nosuch")
    assert ended.returncode == 2
    assert "No algorithm is called 'nosuch'; there is: " in ended.stderr
    assert "autopet_interactive" in ended.stderr


@pytest.mark.parametrize(
    "script",
    [
        "build.sh",
        "test.sh",
        "export.sh",
        "docker/lock.sh",
        "docker/offline/base.sh",
        "docker/offline/wheelhouse.sh",
    ],
)
def test_help_says_how_to_use_it(script):
    ended = run(ROOT / script, "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: ")


def test_checkpoint_takes_exactly_one_algorithm():
    ended = run(ROOT / "build.sh", "--checkpoint", ROOT)
    assert ended.returncode == 2
    assert "exactly one ALGORITHM" in ended.stderr


def test_option_without_a_value_is_named():
    ended = run(ROOT / "build.sh", "--engine")
    assert ended.returncode == 2
    assert "--engine needs a value" in ended.stderr


def test_missing_checkpoint_folder_is_named():
    ended = run(ROOT / "build.sh", "autopet_interactive", "--checkpoint", "/nosuch")
    assert ended.returncode == 2
    assert "/nosuch" in ended.stderr


@pytest.mark.parametrize("option", ["--plans", "--interface"])
def test_missing_file_is_named(option):
    ended = run(ROOT / "build.sh", "gepnet", "--checkpoint", ROOT, option, "/nosuch.json")
    assert ended.returncode == 2
    assert f"{option}: there is no file '/nosuch.json'" in ended.stderr


@pytest.mark.parametrize("option", ["--plans", "--interface"])
def test_file_without_a_checkpoint_is_refused(option):
    ended = run(ROOT / "build.sh", "gepnet", option, ROOT / "containers/gepnet/plans/ecpc_ids.json")
    assert ended.returncode == 2
    assert f"{option} is of use with --checkpoint only" in ended.stderr


def test_cpu_and_cuda_exclude_each_other():
    ended = run(ROOT / "build.sh", "--cpu", "--cuda")
    assert ended.returncode == 2
    assert "exclude each other" in ended.stderr


@pytest.mark.parametrize("variant", ["--cpu", "--cuda"])
@pytest.mark.parametrize("option", [["--no-cpu"], ["--targets", "7.5"], ["--deform", "plugin"]])
def test_option_of_engines_is_refused_where_there_are_none(variant, option):
    ended = run(ROOT / "build.sh", variant, *option)
    assert ended.returncode == 2
    assert f"{option[0]} is about TensorRT-RTX's engines: leave out {variant}." in ended.stderr


@pytest.mark.parametrize("option", ["--targets", "--deform", "--cpu-weights"])
def test_value_that_is_no_choice_is_named(option):
    ended = run(ROOT / "build.sh", option, "most")
    assert ended.returncode == 2
    assert f"{option} is one of: " in ended.stderr
    assert "found 'most'" in ended.stderr


@pytest.fixture
def project(image, version, tmp_path):
    """A checkout with one small algorithm, `toy`, whose images are built for the user given."""
    for path in PROJECT:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(ROOT / "common", tmp_path / "common", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "containers/toy").mkdir(parents=True)
    (tmp_path / "containers/toy/algorithm.py").touch()
    (tmp_path / "build/toy/model").mkdir(parents=True)
    (tmp_path / "build/toy/model/model.json").write_text("{}")
    (tmp_path / "build/images").mkdir()
    shutil.copy(ROOT / "build/images/petct-tools", tmp_path / "build/images")
    tags = {name: f"{name}:{version}" for name in ("toy", "toy-invoke")}

    def build(user):
        dockerfile = f'FROM {BASE}\nUSER {user}\nENTRYPOINT ["true"]\nLABEL petct.layers=release {API_LABEL}='
        for (name, tag), api in zip(tags.items(), APIS, strict=True):
            command = ["docker", "build", "--tag", tag, "-"]
            subprocess.run(command, input=dockerfile + api, text=True, check=True, capture_output=True)
            (tmp_path / "build/images" / name).write_text(image_id(tag) + "\n")
        return tmp_path

    yield build
    run("docker", "image", "rm", "--force", *tags.values())


@pytest.mark.docker
@pytest.mark.parametrize("user", ["root", "0:0", "not.letters"])
def test_export_refuses_an_image_that_the_platform_would_not_take(project, user):
    folder = project(user)
    ended = run("./export.sh", cwd=folder)
    assert ended.returncode == 2
    assert f"found the user '{user}', expected" in ended.stderr
    assert not (folder / "dist").exists()
    assert not (folder / "build/toy/image.tar").exists()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("options", "name"), [([], "toy-invoke"), (["--api", "invoke"], "toy-invoke"), (["--api", "exec"], "toy")]
)
def test_export_writes_the_image_its_packages_and_the_models_content(project, version, options, name):
    folder = project("nobody")
    ended = run("./export.sh", *options, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    with tarfile.open(folder / f"dist/toy_{version}.tar.gz") as archive:
        file = archive.extractfile("manifest.json")
        assert file
        (manifest,) = json.load(file)
    assert manifest["RepoTags"] == [f"{name}:{version}"]
    with tarfile.open(folder / "dist/toy_model.tar.gz") as archive:
        assert archive.getnames() == ["model.json"]
    packages = json.loads((folder / f"dist/toy_{version}.cdx.json").read_text())
    assert packages["metadata"]["component"]["name"] == "petct"
    pins = re.findall(r"^([\w-]+)==(\S+)", (ROOT / PROJECT[-1]).read_text(), re.MULTILINE)
    assert {(part["name"], part["version"]) for part in packages["components"]} == set(pins)
    assert all(
        reference["hashes"] for part in packages["components"] for reference in part["externalReferences"]
    )
    assert len(list((folder / "dist").iterdir())) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--api", "http"], "--api is one of: exec invoke; found 'http'."),
        (["--watch", "lesions"], "--watch takes exactly one ALGORITHM, found 0."),
        (
            ["gepnet", "--watch", "https://a/b/"],
            "--watch: found 'https://a/b/', expected the last part of your",
        ),
        (
            ["gepnet", "--watch", "lesions"],
            "--watch needs your token (your profile on the platform, API tokens)",
        ),
        (["--upload"], "There is no option '--upload'; see ./export.sh --help."),
    ],
)
def test_export_refuses_options_that_it_cannot_follow(options, message):
    ended = run("env", "--unset=GRAND_CHALLENGE_AUTHORIZATION", ROOT / "export.sh", *options)
    assert ended.returncode == 2
    assert message in ended.stderr


@pytest.mark.docker
@pytest.mark.parametrize("script", ["./test.sh", "./export.sh"])
def test_image_that_another_checkout_built_is_refused(project, version, script):
    folder = project("nobody")
    record = folder / "build/images/toy"
    own = record.read_text()
    project("daemon")
    record.write_text(own)
    ended = run(script, cwd=folder)
    assert ended.returncode == 1
    assert f"toy:{version} is not the image that this checkout built" in ended.stderr
    assert "run ./build.sh toy" in ended.stderr
    assert not (folder / "dist").exists()


@pytest.mark.docker
@pytest.mark.parametrize("script", ["./test.sh", "./export.sh"])
def test_image_is_refused_where_this_checkout_built_none(project, version, script):
    folder = project("nobody")
    (folder / "build/images/toy").unlink()
    ended = run(script, cwd=folder)
    assert ended.returncode == 1
    assert f"This checkout has not built toy:{version}: run ./build.sh toy first" in ended.stderr


@pytest.mark.docker
def test_ids_of_the_images_built_are_recorded(image, version):
    for tag in (image, f"{ALGORITHM}-invoke:{version}", f"petct-tools:{version}"):
        assert (ROOT / "build/images" / tag.removesuffix(f":{version}")).read_text().strip() == image_id(tag)


def test_machines_are_those_that_an_interface_may_name_with_their_cores_and_gib():
    listing = (
        'source docker/lib.sh && for name in "${!INSTANCES[@]}"; do echo "$name ${INSTANCES[$name]}"; done'
    )
    machines = [line.split() for line in run("bash", "-c", listing).stdout.splitlines()]
    assert {name for name, _, _ in machines} == set(get_args(Instance))
    assert all(name.endswith(f"-{cores}-{gib}") for name, cores, gib in machines)
