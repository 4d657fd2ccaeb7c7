"""What is in the built image, and what it says about itself."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.docker

MB = 10**6
MOST = 1100 * MB
MOST_FOR_CPUS = 720 * MB


@pytest.fixture(scope="module")
def description(image):
    (description,) = json.loads(subprocess.check_output(["docker", "image", "inspect", image]))
    return description


def test_image_is_small(description):
    assert description["Size"] <= MOST


def test_image_for_cpus_alone_is_smaller(cpu_image):
    (description,) = json.loads(subprocess.check_output(["docker", "image", "inspect", cpu_image]))
    assert description["Size"] <= MOST_FOR_CPUS


def test_image_asks_for_the_gpus_that_its_user_gives(description):
    environment = set(description["Config"]["Env"])
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= environment


def test_packages_for_gpus_import_without_one(image):
    statement = (
        "import ctypes, cuda.bindings.driver, tensorrt_rtx_bindings; ctypes.CDLL('libtensorrt_rtx.so')"
    )
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", statement]
    subprocess.run(command, check=True)


def test_user_is_a_name_of_letters_and_digits_and_not_root(description):
    user = description["Config"]["User"]
    assert user.isalnum()
    assert user[0].isalpha()
    assert user != "root"


def test_user_exists_in_the_image(image, description):
    command = ["docker", "run", "--rm", "--entrypoint", "id", image, "--user", "--name"]
    assert subprocess.check_output(command, text=True).strip() == description["Config"]["User"]


def test_image_is_for_the_platforms_machines(description):
    assert (description["Os"], description["Architecture"]) == ("linux", "amd64")


def test_label_names_the_way_to_call_it(description):
    assert description["Config"]["Labels"]["org.grand-challenge.api-method"] == "exec"


def test_no_checkpoint_is_in_the_image(image):
    search = ["/", "-xdev", "-name", "*.pth"]
    command = ["docker", "run", "--rm", "--user", "root", "--entrypoint", "find", image, *search]
    assert subprocess.check_output(command, text=True) == ""
