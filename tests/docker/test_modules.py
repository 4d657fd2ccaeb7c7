"""Which modules and packages each algorithm's image has, and which a run imports."""

import json
import re
import subprocess
import sys

import pytest

from common import algorithms
from tests.docker.conftest import ROOT

LISTING = """
import json, sys
from importlib.metadata import distributions
from pathlib import Path

code = Path("/opt/petct")
folders = [Path(folder) for folder in sys.path if folder and Path(folder).is_dir()]
found = {
    "modules": [".".join(path.relative_to(code).with_suffix("").parts) for path in code.rglob("*.py")],
    "importable": [path.name.partition(".")[0] for folder in folders for path in folder.iterdir()],
    "installed": [package.name for package in distributions()],
}
print(json.dumps(found))
"""
FOR_TRAINING_AND_TESTS = {
    "batchgenerators",
    "dynamic_network_architectures",
    "grand_challenge_metrics",
    "matplotlib",
    "mypy",
    "nnunetv2",
    "onnx",
    "onnxscript",
    "pandas",
    "pytest",
    "sklearn",
    "torch",
}
LAYERS = [
    *(f"docker/{name}" for name in ("runtime", "tensorrt", "cuda", "dicom", "tools", "nvrtc", "cohort")),
    "tests",
]
LEFT_OUT = re.compile(
    r"common\.(cohort|demo|evaluation|export|report|viewer)\b|containers\.\w+\.(demo|export)\b"
)


def locked(layer):
    """Names of the packages that a layer's lock pins."""
    return set(re.findall(r"^([\w-]+)==", (ROOT / layer / "requirements.txt").read_text(), re.MULTILINE))


def below(layer):
    """Layers that a layer's lock adds to, as `docker/lock.sh` has them."""
    (names,) = re.findall(rf'^  "{layer}( .*)?"$', (ROOT / "docker/lock.sh").read_text(), re.MULTILINE)
    return names.split()


def imported(statement):
    """Modules that are there at the end of an interpreter that runs a statement."""
    at_end = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    command = [sys.executable, "-c", f"{at_end}; {statement}"]
    return set(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stderr.split())


def require_for_a_run_only(modules):
    assert not {module for module in modules if LEFT_OUT.match(module)}
    assert not {module.partition(".")[0] for module in modules} & FOR_TRAINING_AND_TESTS


@pytest.fixture(scope="module")
def listing(every_algorithm, version):
    """What is in an algorithm's image."""
    command = [
        "docker",
        "run",
        "--rm",
        "--entrypoint",
        "python",
        f"{every_algorithm}:{version}",
        "-c",
        LISTING,
    ]
    return json.loads(subprocess.check_output(command, text=True))


@pytest.mark.docker
def test_code_in_an_image_is_one_algorithms_alone(every_algorithm, listing):
    modules = set(listing["modules"])
    assert {"common.cli.run", "common.cli.serve", f"containers.{every_algorithm}.algorithm"} <= modules
    require_for_a_run_only(modules)
    shared = {module for module in modules if module.startswith("common.")}
    own = {module for module in modules if module.startswith(f"containers.{every_algorithm}.")}
    assert modules - shared - own == {"containers.__init__"}


@pytest.mark.docker
def test_packages_in_an_image_are_those_locked_for_a_run(listing):
    assert "numpy" in listing["importable"]
    require_for_a_run_only(listing["importable"])
    packages = {name.lower().replace("_", "-") for name in listing["installed"]}
    assert packages == locked("docker/runtime") | locked("docker/tensorrt")


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_pins_what_its_folder_asks_for_and_nothing_that_is_below_it(layer):
    wanted = re.findall(r"^([\w-]+)", (ROOT / layer / "requirements.in").read_text(), re.MULTILINE)
    assert set(wanted) <= locked(layer)
    assert not locked(layer) & set().union(*map(locked, below(layer)))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_is_pinned_with_hashes(layer):
    pins = re.split(r"^(?=[\w-]+==)", (ROOT / layer / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert pins[1:]
    assert all("--hash=sha256:" in pin for pin in pins[1:])


def test_gpu_build_of_onnx_runtime_is_the_last_for_cuda_12_and_in_place_of_the_other():
    lock = (ROOT / "docker/cuda/requirements.txt").read_text()
    assert re.search(r"^onnxruntime-gpu==1\.26\.", lock, re.MULTILINE)
    assert "onnxruntime" in locked("docker/runtime")
    assert {name for name in locked("docker/cuda") if not name.endswith("-cu12")} == {"onnxruntime-gpu"}


@pytest.mark.parametrize("command", ["run", "serve", "invoke"])
def test_command_imports_nothing_that_images_leave_out(command):
    modules = imported(f"from common.cli.main import main; main(['{command}', '--help'])")
    assert f"common.cli.{command}" in modules
    require_for_a_run_only(modules)


@pytest.mark.parametrize("algorithm", algorithms.names())
def test_algorithm_imports_nothing_that_images_leave_out(algorithm):
    modules = imported(f"import containers.{algorithm}.algorithm")
    assert "common.inference.predict" in modules
    require_for_a_run_only(modules)
