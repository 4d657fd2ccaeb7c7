"""A model of one fold that is not the first, where the 2D network has the first alone."""

import shutil
from pathlib import Path

import pytest

from common.cli.main import main
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom


@pytest.fixture
def checkpoint(l2snet_checkpoint: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(l2snet_checkpoint, tmp_path / "checkpoint")
    shutil.copytree(folder / "fold_0", folder / "fold_1")
    return folder


def test_a_fold_that_is_not_the_first_can_be_exported_alone_and_run(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, case = tmp_path / "model", tmp_path / "input"
    write_phantom(make_phantom(1, (12, 20, 6), (6.0, 4.0, 4.0)), case, tmp_path / "case.mha")
    exported = ["export", "l2snet", "--checkpoint", str(checkpoint), "--model", str(model), "--folds", "1"]
    assert main(exported) == 0
    run = ["run", "l2snet", "--input", str(case), "--model", str(model), "--output", str(tmp_path / "output")]
    assert main(run) == 0
    assert "folds 1 (model.json)" in capsys.readouterr().out
    assert main([*run, "--folds", "0"]) == 2
    assert "found no fold 0, the model has 1; choose among them" in capsys.readouterr().err
