"""Exit codes and messages of the whole command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK

from common.cli.main import main
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.export.checkpoints.safe_pickle import load
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.hashes import sha256_of_all
from common.model.reading import read_model
from tests.support.json_plans import json_plans

MASK = "images/tumor-lesion-segmentation/case.mha"

Run = Callable[[Path], tuple[int, str]]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    write_phantom(make_phantom(1, (12, 20, 16), (6.0, 4.0, 4.0)), folder, tmp_path / "case.mha")
    (folder / "inputs.json").unlink()
    return folder


@pytest.fixture
def run(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the case; returns the exit code and the last line of stdout for a mask, else of stderr."""

    def run(model: Path) -> tuple[int, str]:
        folders = ["--input", str(case), "--output", str(tmp_path / "output"), "--model", str(model)]
        code = main(["run", "gepnet", *folders])
        news, errors = capsys.readouterr()
        return code, (errors if code else news).splitlines()[-1]

    return run


def test_the_platform_takes_the_mask_of_a_case_without_ct(
    run: Run, case: Path, pet_model: Path, tmp_path: Path
) -> None:
    shutil.rmtree(case / "images/ct")
    code, line = run(pet_model)
    assert code == 0
    assert "done: " in line
    mask = SimpleITK.ReadImage(tmp_path / "output" / MASK)
    pet = SimpleITK.ReadImage(case / "images/pet/case.mha")
    assert (mask.GetPixelID(), mask.GetSize()) == (SimpleITK.sitkUInt8, pet.GetSize())
    assert (
        main(["check", "output", "gepnet", "--input", str(case), "--output", str(tmp_path / "output")]) == 0
    )


def test_a_ct_that_the_model_wants_and_the_case_lacks_is_exit_code_2(
    run: Run, case: Path, pet_ct_model: Path
) -> None:
    shutil.rmtree(case / "images/ct")
    assert run(pet_ct_model) == (
        2,
        "error: the model wants a CT, the case has pet only; give the case its CT, or use a checkpoint that "
        "was trained without it",
    )


def test_a_missing_pet_is_exit_code_2(run: Run, case: Path, pet_model: Path) -> None:
    shutil.rmtree(case / "images/pet")
    code, line = run(pet_model)
    assert code == 2
    assert "images/pet" in line


def test_weights_without_plans_are_exported_with_those_given_as_json(
    pet_checkpoint: Path, pet_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights/fold_0" / CHECKPOINT_FILE
    weights.parent.mkdir(parents=True)
    shutil.copy(pet_checkpoint / "fold_0" / CHECKPOINT_FILE, weights)
    plans = tmp_path / "plans.json"
    plans.write_text(json.dumps(json_plans(load(pet_checkpoint / "plans.pkl"))))
    export = ["export", "gepnet", "--checkpoint", str(tmp_path / "weights")]
    export += ["--model", str(tmp_path / "model")]
    assert main(export) == 3
    assert "or give the plans as JSON with --plans FILE" in capsys.readouterr().err.splitlines()[-1]
    assert main([*export, "--plans", str(plans)]) == 0
    ours, wanted = read_model(tmp_path / "model", "gepnet"), read_model(pet_model, "gepnet")
    assert ours.networks[0].plans == wanted.networks[0].plans
    assert [fold.sha256 for fold in ours.networks[0].folds] == [wanted.networks[0].folds[0].sha256]
    assert ours.source_sha256 == sha256_of_all(tmp_path / "weights", [plans, weights])


def test_an_altered_network_is_exit_code_3(run: Run, pet_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(pet_model, tmp_path / "model")
    with (model / "segmentation_fold_1.onnx").open("ab") as file:
        file.write(b"more")
    code, line = run(model)
    assert code == 3
    assert "segmentation_fold_1.onnx: altered" in line
