"""Exit codes and messages of the whole command, on the golden 3D network and a light 2D network."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK
import torch

from common.cli.main import main
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom

MASK = "images/automated-petct-lesion-segmentation/case.mha"

Lines = list[str]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    write_phantom(make_phantom(1, (12, 20, 16), (6.0, 4.0, 4.0)), folder, tmp_path / "case.mha")
    return folder


@pytest.fixture
def run(
    case: Path, light_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Lines]]:
    """Run the case; returns the exit code and the lines of stdout for a mask, else of stderr."""

    def run(*options: str, model: Path = light_model) -> tuple[int, Lines]:
        folders = ["--input", str(case), "--output", str(tmp_path / "output"), "--model", str(model)]
        code = main(["run", "l2snet", *folders, *options])
        news, errors = capsys.readouterr()
        return code, (errors if code else news).splitlines()

    return run


def test_the_platform_takes_the_mask(
    run: Callable[..., tuple[int, Lines]], case: Path, tmp_path: Path
) -> None:
    code, lines = run()
    assert code == 0
    assert "done: " in lines[-1]
    mask = SimpleITK.ReadImage(tmp_path / "output" / MASK)
    pet = SimpleITK.ReadImage(case / "images/pet/case.mha")
    assert (mask.GetPixelID(), mask.GetSize()) == (SimpleITK.sitkUInt8, pet.GetSize())
    assert (
        main(["check", "output", "l2snet", "--input", str(case), "--output", str(tmp_path / "output")]) == 0
    )


def test_a_missing_image_is_exit_code_2(run: Callable[..., tuple[int, Lines]], case: Path) -> None:
    (case / "images/pet/case.mha").unlink()
    code, lines = run()
    assert code == 2
    assert "images/pet: 0 images" in lines[-1]


def test_too_little_time_is_exit_code_4(run: Callable[..., tuple[int, Lines]]) -> None:
    code, lines = run("--time-limit", "0.001")
    assert code == 4
    assert "longer --time-limit" in lines[-1]


def test_a_model_of_another_algorithm_is_exit_code_3(
    run: Callable[..., tuple[int, Lines]], light_model: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(light_model, tmp_path / "model")
    document = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(document | {"algorithm": "autopet_interactive"}))
    code, lines = run(model=model)
    assert code == 3
    assert "found algorithm 'autopet_interactive', expected 'l2snet'" in lines[-1]


def another_encoder(path: Path) -> None:
    weights = torch.load(path, weights_only=True)
    torch.save({name: tensor for name, tensor in weights.items() if ".convs.2." not in name}, path)


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        pytest.param(Path.unlink, "found no epoch_*.pth", id="no 2D checkpoint"),
        pytest.param(
            another_encoder, "do not fit a U-Net with the encoder timm-res2net50", id="other encoder"
        ),
    ],
)
def test_a_wrong_2d_checkpoint_is_exit_code_3_and_one_line(
    l2snet_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    breakage: Callable[[Path], object],
    message: str,
) -> None:
    checkpoint = shutil.copytree(l2snet_checkpoint, tmp_path / "checkpoint")
    breakage(checkpoint / "fold_0/epoch_030.pth")
    arguments = ["--checkpoint", str(checkpoint), "--model", str(tmp_path / "model")]
    assert main(["export", "l2snet", *arguments]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
