"""`build.sh` for GPUs, for CPUs alone, and for CUDA, with a stand-in for the program `docker`."""

import pytest

from tests.docker.test_without_engine import Checkout

DOCKER = """#!/bin/bash
echo "$@" >>"$CALLS/docker"
case $1 in
  image) [[ $* != *petct.base* ]] || echo "${BASE:-pulled}" ;;
  build) [[ -z ${MISSING:-} || "$*" != *"--tag $MISSING"* ]] ;;
  run)
    while [[ $1 != petct-tools:* ]]; do shift; done
    shift
    exec "$(dirname "$0")/petct" "$@"
    ;;
esac
"""
LAYERS = ("runtime", "tensorrt", "cuda", "dicom", "tools", "nvrtc")


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    for layer in LAYERS:
        checkout.write(f"docker/{layer}/requirements.txt", "")
    (tmp_path / "bin/docker").write_text(DOCKER)
    (tmp_path / "bin/docker").chmod(0o755)
    checkout.environment |= {"PATH": f"{tmp_path / 'bin'}:{checkout.environment['PATH']}"}
    return checkout


def build(checkout, *options, **environment):
    """Run `build.sh`; returns its stderr, and for each image what it stands on."""
    ended = checkout.run("./build.sh", *options, **environment)
    assert ended.returncode == 0, ended.stderr
    calls = [line.split() for line in checkout.called("docker", "build")]
    images = [call[call.index("--tag") + 1].partition(":")[0] for call in calls]
    bases = [
        [word.partition("=")[2].partition(":")[0] for word in call if "=petct-" in word] for call in calls
    ]
    return ended.stderr, dict(zip(images, bases, strict=True))


def exported(checkout):
    (line,) = checkout.called("petct", "export")
    return line.split()


def test_images_stand_on_tensorrt_unless_told_otherwise(checkout):
    _, images = build(checkout)
    assert images == {
        "petct-runtime": [],
        "petct-tensorrt": ["petct-runtime"],
        "petct-tools": ["petct-tensorrt"],
        "toy": ["petct-tensorrt"],
        "toy-invoke": ["petct-tensorrt"],
    }
    assert "--tensorrt" in exported(checkout)


def test_cpu_leaves_out_all_of_nvidias_parts(checkout):
    _, images = build(checkout, "--cpu")
    assert images == {
        "petct-runtime": [],
        "petct-tools": ["petct-runtime"],
        "toy": ["petct-runtime"],
        "toy-invoke": ["petct-runtime"],
    }
    assert "--tensorrt" not in exported(checkout)


def test_dicom_is_put_on_what_algorithms_stand_on_and_not_on_the_tools(checkout):
    _, images = build(checkout, "--cpu", "--dicom")
    assert images == {
        "petct-runtime": [],
        "petct-dicom": ["petct-runtime"],
        "petct-tools": ["petct-runtime"],
        "toy": ["petct-dicom"],
        "toy-invoke": ["petct-dicom"],
    }


def test_cuda_is_the_algorithms_basis_and_not_the_tools(checkout):
    _, images = build(checkout, "--cuda")
    assert images == {
        "petct-runtime": [],
        "petct-cuda": ["petct-runtime"],
        "petct-tools": ["petct-runtime"],
        "toy": ["petct-cuda"],
        "toy-invoke": ["petct-cuda"],
    }
    assert "--tensorrt" not in exported(checkout)


def test_plugin_adds_the_cuda_compiler_to_the_tools_alone(checkout):
    _, images = build(checkout, "--deform", "plugin")
    assert images["petct-tools"] == ["petct-tools"]
    assert images["toy"] == ["petct-tensorrt"]


def test_where_nvidias_packages_cannot_be_had_one_line_says_so_and_all_else_is_built(checkout):
    said, images = build(checkout, MISSING="petct-tensorrt")
    (line,) = [line for line in said.splitlines() if "NVIDIA" in line]
    assert line.startswith("NVIDIA's packages cannot be had (the log is ")
    assert line.endswith("petct-tensorrt.txt): building for CPUs")
    assert images["petct-tools"] == images["toy"] == ["petct-runtime"]
    assert "--tensorrt" not in exported(checkout)


def test_option_of_engines_fails_where_nvidias_packages_cannot_be_had(checkout):
    ended = checkout.run("./build.sh", "--targets", "7.5", MISSING="petct-tensorrt")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("petct-tensorrt.txt): --targets needs them.")


def test_any_other_image_that_cannot_be_built_ends_the_build(checkout):
    ended = checkout.run("./build.sh", MISSING="petct-tools")
    assert ended.returncode == 1
    assert "petct-tools" in ended.stderr.splitlines()[-1]
    assert not checkout.called("docker", "run")
