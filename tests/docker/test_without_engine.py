"""The scripts where no Docker engine answers, on a checkout whose packages are stand-ins."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.docker.conftest import ROOT

SCRIPTS = ("build.sh", "test.sh", "export.sh", "docker/lib.sh", "docker/venv.sh", "pyproject.toml")
LOCKS = tuple(f"docker/{layer}/requirements.txt" for layer in ("runtime", "tensorrt", "tools"))
NVRTC = "docker/nvrtc/requirements.txt"

INTERPRETER = f"""#!/bin/sh
case "$1" in
  -c) exec {sys.executable} "$@" ;;
  -m) mkdir -p "$3/bin" && cp "$(dirname "$0")"/* "$3/bin" ;;
esac
"""
PIP = """#!/bin/bash
echo "$@" >>"$CALLS/pip"
[[ -z ${MISSING:-} || "$*" != *$MISSING* ]]
"""
PETCT = """#!/bin/bash
echo "$@" >>"$CALLS/petct"
command=$1
while [[ $# -gt 0 ]]; do
  case $1 in
    --model) model=$2 ;;
    --input) input=$2 ;;
    --output) output=$2 ;;
  esac
  shift
done
case $command in
  export) mkdir "$model" && echo {} >"$model/model.json" ;;
  phantom) mkdir "$output/input" "$output/truth" && touch "$output/input/image" ;;
  run)
    [[ $(find "$input" -perm /222) == "" && -z $(ls -A "$output") ]] || exit 4
    mkdir -p "$output/images/mask"
    [[ -z ${SPOIL:-} ]] || echo spoilt >"$input/more" || exit 1
    echo "engine: cpu, device: toy"
    echo "done: 1.5 s, peak memory 77 MiB, mask"
    ;;
  serve)
    mkdir -p "$output/images/mask"
    echo "done: 0.5 s, peak memory 66 MiB, mask"
    echo $$ >"$CALLS/served"
    exec sleep 60
    ;;
  invoke) until [[ -e $CALLS/served ]]; do sleep 0.1; done ;;
  evaluate) echo "1 cases: Dice 0.900 (mean)" ;;
  report) touch "$output/report.html" ;;
esac
"""


class Checkout:
    """A checkout with one small algorithm, `toy`."""

    def __init__(self, folder):
        self.folder = folder / "checkout"
        self.calls = folder / "calls"
        self.calls.mkdir()
        for path in SCRIPTS:
            self.write(path, (ROOT / path).read_text())
            shutil.copymode(ROOT / path, self.folder / path)
        for path in (*LOCKS, NVRTC, "common/demo/phantom/phantom.py", "containers/toy/algorithm.py"):
            self.write(path, "")
        self.write("containers/toy/demo/checkpoint/weights", "1")
        for name, text in {"python": INTERPRETER, "pip": PIP, "petct": PETCT}.items():
            (folder / "bin").mkdir(exist_ok=True)
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.environment = os.environ | {
            "DOCKER_HOST": "unix:///nonexistent",
            "PYTHON": str(folder / "bin/python"),
            "CALLS": str(self.calls),
        }

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def run(self, *command, **environment):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def called(self, program, command):
        """Lines of the calls of a program so far that begin with `command`."""
        lines = (self.calls / program).read_text().splitlines()
        return [line for line in lines if line.startswith(command)]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def built(checkout):
    ended = checkout.run("./build.sh")
    assert ended.returncode == 0, ended.stderr
    return checkout


def test_one_line_says_that_no_engine_answers_and_what_follows(checkout):
    ended = checkout.run("./build.sh")
    (line,) = [line for line in ended.stderr.splitlines() if "Docker" in line]
    assert line.startswith("No Docker engine answers: ")
    assert ended.stderr.startswith(line)


def test_build_exports_the_model_and_builds_no_image(built):
    assert (built.folder / "build/toy/model/model.json").is_file()
    assert not (built.folder / "build/images").exists()


def test_second_build_installs_and_exports_nothing(built):
    installed = built.called("pip", "")
    ended = built.run("./build.sh")
    assert "The model of toy is up to date" in ended.stderr
    assert built.called("pip", "") == installed
    assert len(built.called("petct", "export")) == 1


@pytest.mark.parametrize("lock", LOCKS)
def test_changed_lock_makes_the_environment_anew(built, lock):
    stale = built.write(".venv/stale", "")
    built.write(lock, "numpy")
    assert built.run("./build.sh").returncode == 0
    assert not stale.exists()


def test_interrupted_installation_makes_the_environment_anew(built):
    stale = built.write(".venv/stale", "")
    built.write("docker/tools/requirements.txt", "numpy")
    built.write(".venv/bin/pip", "#!/bin/sh\nexit 1\n")
    built.write(".venv/installed/docker_tools", "")
    assert built.run("./build.sh").returncode == 0
    assert not stale.exists()


def test_packages_of_the_tests_are_added_and_stay(built):
    built.write("tests/requirements.txt", "pytest")
    provide = (
        "source docker/lib.sh && source docker/venv.sh && provide_venv docker/runtime docker/tools tests"
    )
    kept = built.write(".venv/kept", "")
    assert built.run("bash", "-c", provide).returncode == 0
    assert len([line for line in built.called("pip", "") if "tests/requirements.txt" in line]) == 1
    assert built.run("./build.sh").returncode == 0
    assert kept.exists()
    assert len([line for line in built.called("pip", "") if "docker/runtime" in line]) == 1


def test_environment_copied_from_another_checkout_is_not_used(built):
    built.write(".venv/installed/root", "/elsewhere\n")
    stale = built.write(".venv/stale", "")
    assert built.run("./test.sh").returncode == 0
    assert not stale.exists()


def test_missing_interpreter_is_one_line(checkout):
    ended = checkout.run("./build.sh", PYTHON="/nosuch")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()[1:]
    assert line.startswith("/nosuch is missing or older than 3.11: ")


def test_run_is_tabulated_as_not_in_a_container(built):
    ended = built.run("./test.sh")
    assert ended.returncode == 0, ended.stderr
    header, row, note, *more = ended.stdout.splitlines()
    assert header.split()[0] == "algorithm"
    assert row.split() == [
        "toy",
        "none",
        "cpu",
        "1.5",
        "77",
        "0.5",
        "0.900",
        "passed",
        "build/test/toy/report.html",
    ]
    assert note == "not in a container"
    assert not Path("/proc", (built.calls / "served").read_text().strip()).exists(), "the server has ended"
    assert more == ([] if Path("/dev/nvidiactl").exists() else ["without a GPU: no NVIDIA driver answers"])


def test_run_that_changes_its_input_fails(built):
    ended = built.run("./test.sh", SPOIL="yes")
    if os.getuid() == 0:
        assert "The run of toy changed its input or its model." in ended.stdout
    assert ended.returncode == 1


def test_export_writes_the_model_and_says_what_is_missing(built):
    ended = built.run("./export.sh")
    assert ended.returncode == 1
    (file,) = (built.folder / "dist").iterdir()
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["model.json"]
    assert ".tar.gz is missing: where a Docker engine answers, run ./build.sh toy and" in ended.stderr


def test_settings_go_to_the_model_folder_and_earlier_ones_are_forgotten(built):
    model = built.folder / "build/toy/model"
    assert built.called("petct", "settings") == [f"settings {model} --clear"]
    built.run("./build.sh", "--engine", "cpu", "toy", "--time-limit", "none", "--step", "0.7")
    expected = f"settings {model} --clear --engine cpu --time-limit none --step 0.7"
    assert built.called("petct", "settings")[1:] == [expected]
    assert len(built.called("petct", "export")) == 1


def test_folds_and_plans_go_to_the_export_and_are_part_of_what_a_model_is_made_from(built):
    plans = built.write("plans.json", "{}")
    checkpoint = ("--checkpoint", "containers/toy/demo/checkpoint")
    given = ("./build.sh", "toy", *checkpoint, "--plans", "plans.json", "--folds", "0,1")
    for _ in range(2):
        assert built.run(*given).returncode == 0
    _, export = built.called("petct", "export")
    assert export.endswith(f"--plans {plans} --folds 0,1 --tensorrt")
    plans.write_text("{ }")
    built.run(*given)
    assert len(built.called("petct", "export")) == 3


def test_engines_are_exported_with_the_options_given(checkout):
    given = (
        "--targets",
        "7.5",
        "--batch-mirrorings",
        "--no-cpu",
        "--deform",
        "plugin",
        "--cpu-weights",
        "float16",
    )
    ended = checkout.run("./build.sh", *given)
    assert ended.returncode == 0, ended.stderr
    (export,) = checkout.called("petct", "export")
    assert export.endswith(
        "--cpu-weights float16 --tensorrt --targets 7.5 --batch-mirrorings --no-cpu --deform plugin"
    )
    assert [line for line in checkout.called("pip", "") if NVRTC in line]


def test_cuda_compiler_is_installed_for_the_plugin_alone(built):
    assert not [line for line in built.called("pip", "") if NVRTC in line]


def test_model_is_exported_again_where_what_it_is_for_has_changed(built):
    for options, exports in ((["--cpu"], 2), (["--cpu"], 2), ([], 3), (["--targets", "7.5"], 4)):
        assert built.run("./build.sh", *options).returncode == 0
        assert len(built.called("petct", "export")) == exports


def test_cpu_leaves_out_nvidias_packages_and_engines(checkout):
    ended = checkout.run("./build.sh", "--cpu")
    assert ended.returncode == 0, ended.stderr
    assert not [line for line in checkout.called("pip", "") if "docker/tensorrt" in line]
    (export,) = checkout.called("petct", "export")
    assert "--tensorrt" not in export


def test_where_nvidias_packages_cannot_be_had_one_line_says_so_and_all_else_is_built(checkout):
    ended = checkout.run("./build.sh", MISSING="docker/tensorrt")
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "NVIDIA" in line]
    assert line == "NVIDIA's packages cannot be had: building for CPUs"
    (export,) = checkout.called("petct", "export")
    assert "--tensorrt" not in export
    assert checkout.run("./test.sh", MISSING="docker/tensorrt").returncode == 0


def test_packages_that_could_not_be_had_are_tried_again(checkout):
    checkout.run("./build.sh", MISSING="docker/tensorrt")
    assert "NVIDIA" not in checkout.run("./build.sh").stderr
    assert "--tensorrt" in checkout.called("petct", "export")[-1]


def test_option_of_engines_fails_where_nvidias_packages_cannot_be_had(checkout):
    ended = checkout.run("./build.sh", "--no-cpu", MISSING="docker/tensorrt")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "NVIDIA's packages cannot be had: --no-cpu needs them."


def test_cuda_needs_an_engine(checkout):
    ended = checkout.run("./build.sh", "--cuda")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("--cuda makes images")
