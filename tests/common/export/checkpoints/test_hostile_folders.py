"""A training folder as a hostile archive may unpack: pipes, devices and links where files should be."""

import shutil
import time
from pathlib import Path

import pytest

from common.cli.main import main
from tests.support.platform import REPOSITORY
from tests.support.special_files import KINDS, put

FILES = [
    ("autopet_interactive", "plans.json"),
    ("autopet_interactive", "dataset.json"),
    ("autopet_interactive", "fold_0/checkpoint_final.pth"),
    ("gepnet", "plans.pkl"),
    ("gepnet", "fold_0/model_final_checkpoint.model"),
    ("l2snet", "plans.pkl"),
    ("l2snet", "fold_0/model_final_checkpoint.model"),
    ("l2snet", "fold_0/epoch_1200.pth"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("algorithm", "name"), FILES)
def test_what_is_no_file_is_exit_code_3_and_one_line_without_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], algorithm: str, name: str, kind: str
) -> None:
    checkpoint = shutil.copytree(
        REPOSITORY / "containers" / algorithm / "demo/checkpoint", tmp_path / "checkpoint"
    )
    for copy_of_plans in checkpoint.glob("fold_*/*.pkl"):
        copy_of_plans.unlink()
    put(kind, checkpoint / name)
    started = time.monotonic()
    code = main(["export", algorithm, "--checkpoint", str(checkpoint), "--model", str(tmp_path / "model")])
    assert time.monotonic() - started < 10
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 3
    assert Path(name).name in line or "found no" in line
    assert not list(tmp_path.glob("model/*"))
