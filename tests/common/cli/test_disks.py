"""Disks without room, and disks that may not be written, as the kernel makes them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from tests.support.platform import REPOSITORY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root may mount a disk of its own")

FULL_WHILE_WRITING = """
from pathlib import Path
from sys import argv
import numpy as np
from common.errors import InputError
from common.grandchallenge.writing import check_destination, prepare_folder, write_mask
from tests.support.platform import GRID
from dataclasses import replace

folder, grid = Path(argv[1]), replace(GRID, size=(64, 64, 64))
prepare_folder(folder)
check_destination(folder, "case", grid)
(folder / "of another").write_bytes(bytes(2**20))
try:
    write_mask(np.random.default_rng(0).integers(0, 256, grid.shape, np.uint8), grid, folder, "case")
except InputError as error:
    print(error)
print([path.name for path in folder.iterdir()])
"""


def on_disk(folder: Path, options: str, *command: object) -> "subprocess.CompletedProcess[str]":
    """Run a command in a mount namespace of its own, with a disk at the folder."""
    folder.mkdir()
    mount = shlex.join(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])
    words = shlex.join(map(str, command))
    shell = ["unshare", "--mount", "sh", "-c", f"{mount} && exec {words}"]
    return subprocess.run(shell, capture_output=True, text=True, cwd=REPOSITORY, check=False)


def petct(*arguments: object) -> list[object]:
    return [sys.executable, "-m", "common.cli.main", *arguments]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), folder / "input", folder / "case.mha")
    return folder / "input"


@pytest.mark.parametrize(
    ("options", "found"),
    [("size=16k", "the mask needs up to 0.03 MiB, 0.0"), ("ro", "(Read-only file system)")],
)
def test_a_full_or_read_only_output_is_exit_code_2_before_the_work(
    case: Path, golden_model: Path, tmp_path: Path, options: str, found: str
) -> None:
    output = tmp_path / "output"
    folders = ["--input", case, "--output", output, "--model", golden_model]
    ended = on_disk(output, options, *petct("run", "autopet_interactive", *folders))
    assert ended.returncode == 2
    assert found in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "engine: " not in ended.stdout


def test_a_disk_that_another_fills_while_the_mask_is_written_keeps_no_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    ended = on_disk(folder, "size=1100k", sys.executable, "-c", FULL_WHILE_WRITING, folder)
    line, left = ended.stdout.splitlines()
    assert line == (
        f"{folder}/case.mha: the mask cannot be written (No space left on device); give a folder with "
        "room and permission"
    )
    assert left == "['of another']"
    assert not ended.stderr


@pytest.mark.parametrize(
    ("options", "code", "found"),
    [
        ("size=64k", 4, "MiB are free; make room there"),
        ("ro", 3, "cannot be written (Read-only file system)"),
    ],
)
def test_an_export_to_a_full_or_read_only_disk_is_one_line_before_the_work(
    golden_checkpoint: Path, tmp_path: Path, options: str, code: int, found: str
) -> None:
    model = tmp_path / "model"
    arguments = ["export", "autopet_interactive", "--checkpoint", golden_checkpoint, "--model", model]
    ended = on_disk(model, options, *petct(*arguments))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (code, 1)
    assert found in ended.stderr
    assert "parity" not in ended.stdout
