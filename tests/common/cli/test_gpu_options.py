import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from common.cli.main import main
from common.inference.engines import carriers


def export(tmp_path: Path, *options: str) -> int:
    """Of a checkpoint that is not there: what is refused before it is looked for."""
    folders = ["--checkpoint", str(tmp_path / "none"), "--model", str(tmp_path / "model")]
    return main(["export", "nnunet", *folders, *options])


@pytest.mark.parametrize(
    "options",
    [
        ["--targets", "7.5"],
        ["--batch-mirrorings"],
        ["--no-cpu"],
        ["--carrier", "tensorrt"],
        ["--deform", "plugin"],
    ],
)
def test_options_without_tensorrt_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert export(tmp_path, *options) == 2
    assert f"{options[0]}: found no --tensorrt" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "options",
    [["--no-cpu", "--cpu-weights", "float16"], ["--carrier", "tensorrt", "--targets", "7.5"]],
)
def test_options_that_exclude_each_other_are_refused(tmp_path: Path, options: list[str]) -> None:
    assert export(tmp_path, "--tensorrt", *options) == 2


def test_without_tensorrt_installed_the_packages_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> ModuleSpec | None:
        return None if name == "tensorrt_rtx_bindings" else importlib.util.find_spec(name)

    monkeypatch.setattr(carriers, "find_spec", missing)
    assert export(tmp_path, "--tensorrt") == 4
    assert "pip install tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs" in capsys.readouterr().err
