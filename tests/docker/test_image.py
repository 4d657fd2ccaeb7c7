"""What is in the built image, and what it says about itself."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.docker

MB = 10**6
MOST = 720 * MB


@pytest.fixture(scope="module")
def description(image):
    (description,) = json.loads(subprocess.check_output(["docker", "image", "inspect", image]))
    return description


def test_image_is_small(description):
    assert description["Size"] <= MOST


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
