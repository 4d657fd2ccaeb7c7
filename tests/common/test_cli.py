"""Exit codes and messages of the whole command, on the golden model and a small phantom."""

import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK

from common.cli import main
from common.memory import GIB
from common.phantom.phantom import make_phantom
from common.phantom.writing import write_phantom

MASK = "images/tumor-lesion-segmentation/case.mha"


@pytest.fixture(scope="module")
def phantom_input(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), folder / "input", folder / "case.mha")
    return folder / "input"


@pytest.fixture
def case(phantom_input, tmp_path):
    """A copy of the case that a test may break."""
    return shutil.copytree(phantom_input, tmp_path / "input")


@pytest.fixture
def run(case, golden_model, tmp_path, capsys):
    """Run the case; returns the exit code and the lines of stderr, the last of which the platform shows."""

    def run(*options, model=golden_model, output=tmp_path / "output"):
        folders = ["--input", str(case), "--output", str(output), "--model", str(model)]
        code = main(["run", "autopet_interactive", *folders, *options])
        return code, capsys.readouterr().err.splitlines()

    return run


def test_mask_lies_where_the_platform_looks_for_it(run, case, tmp_path):
    assert run()[0] == 0
    mask = SimpleITK.ReadImage(tmp_path / "output" / MASK)
    pet = SimpleITK.ReadImage(case / "images/pet/case.mha")
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    assert mask.GetSize() == pet.GetSize()
    assert (mask.GetSpacing(), mask.GetOrigin()) == (pet.GetSpacing(), pet.GetOrigin())
    assert (
        main(["check", "autopet_interactive", "--input", str(case), "--output", str(tmp_path / "output")])
        == 0
    )


def test_mask_is_the_only_file_written(run, tmp_path):
    run()
    assert [str(p.relative_to(tmp_path / "output")) for p in tmp_path.glob("output/**/*.*")] == [MASK]


def test_same_case_gives_the_same_mask(run, tmp_path):
    masks = []
    for name in ("first", "second"):
        run(output=tmp_path / name)
        masks.append((tmp_path / name / MASK).read_bytes())
    assert masks[0] == masks[1]


def test_one_log_line_names_engine_device_and_precision(run):
    _, lines = run("--engine", "cpu")
    (line,) = [line for line in lines if "engine: " in line]
    assert "engine: cpu, device: " in line
    assert "precision: float32" in line


def test_missing_clicks_are_a_warning(run, case):
    (case / "inputs.json").unlink()
    (case / "lesion-clicks.json").unlink()
    code, lines = run()
    assert code == 0
    assert any("WARNING" in line and "lesion-clicks.json: no such file" in line for line in lines)


def test_time_limit_gives_up_folds_and_mirrorings_before_failing(run):
    code, lines = run("--time-limit", "0.01")
    assert code == 4
    assert "one pass over all tiles takes about" in lines[-1]


def rewrite(path, change):
    image = SimpleITK.ReadImage(path)
    array = change(SimpleITK.GetArrayFromImage(image).astype(np.float32))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), path)


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil(array):
    array[3, 4, 5] = np.nan
    return array


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        pytest.param(remove, "images/pet: 0 images", id="missing image"),
        pytest.param(lambda p: shutil.copy(p, p.with_name("b.mha")), "images/pet: 2 images", id="two images"),
        pytest.param(truncate, "images/pet/case.mha: ", id="truncated image"),
        pytest.param(lambda p: p.write_text("no image"), "images/pet/case.mha: ", id="no image"),
        pytest.param(lambda p: rewrite(p, spoil), "images/pet/case.mha: ", id="NaN"),
        pytest.param(lambda p: rewrite(p, lambda a: a[:1]), "images/pet/case.mha: ", id="one slice"),
        pytest.param(lambda p: rewrite(p, lambda a: a[0]), "images/pet/case.mha: ", id="2D"),
    ],
)
def test_broken_image_is_exit_code_2(run, case, breakage, message):
    breakage(case / "images/pet/case.mha")
    code, lines = run()
    assert code == 2
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="no JSON"),
        pytest.param('{"points": 3}', id="other schema"),
        pytest.param(
            '{"name": "x", "type": "Multiple points", "points": [{"point": [1, 2, 3], "name": "liver"}]}',
            id="name",
        ),
        pytest.param(
            '{"name": "x", "type": "Multiple points", "points": [{"point": [1, "a", 3], "name": "tumor"}]}',
            id="text",
        ),
    ],
)
def test_broken_clicks_are_exit_code_2(run, case, text):
    (case / "lesion-clicks.json").write_text(text)
    code, lines = run()
    assert code == 2
    assert "lesion-clicks.json: " in lines[-1]


def test_ct_of_another_patient_is_exit_code_2(run, case):
    path = case / "images/ct/case.mha"
    image = SimpleITK.ReadImage(path)
    image.SetOrigin((1e4, 0, 0))
    SimpleITK.WriteImage(image, path)
    assert run()[0] == 2


def test_missing_model_folder_is_exit_code_3(run, tmp_path):
    code, lines = run(model=tmp_path / "nothing")
    assert code == 3
    assert str(tmp_path / "nothing") in lines[-1]


def test_altered_network_is_exit_code_3(run, golden_model, tmp_path):
    altered = shutil.copytree(golden_model, tmp_path / "model")
    path = next(altered.glob("*.onnx"))
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    code, lines = run(model=altered)
    assert code == 3
    assert path.name in lines[-1]


def test_unwritable_output_is_exit_code_2_before_the_work(run, tmp_path):
    (tmp_path / "file").touch()
    code, lines = run(output=tmp_path / "file")
    assert code == 2
    assert str(tmp_path / "file") in lines[-1]


def test_bfloat16_on_an_engine_without_it_is_exit_code_4(run):
    code, lines = run("--engine", "cpu", "--precision", "bfloat16")
    assert code == 4
    assert "bfloat16 needs --engine openvino" in lines[-1]


def test_failure_leaves_no_output(run, case, tmp_path):
    truncate(case / "images/ct/case.mha")
    run()
    assert not [path for path in tmp_path.glob("output/**/*") if path.is_file()]


def test_too_little_memory_is_exit_code_4_and_says_how_much(case, golden_model, tmp_path):
    model = shutil.copytree(golden_model, tmp_path / "model")
    document = json.loads((model / "model.json").read_text())
    document["networks"][0]["tile_memory"] = 8 * GIB
    (model / "model.json").write_text(json.dumps(document))
    folders = ["--input", case, "--output", tmp_path / "output", "--model", model]
    limited = subprocess.run(
        [sys.executable, "-m", "common.cli", "run", "autopet_interactive", *folders],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (4 * GIB, 4 * GIB)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 4
    assert "needs about 8.0" in limited.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["run", "nothing"], ["run", "autopet_interactive", "--engine", "x"]]
)
def test_wrong_arguments_are_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: petct" in capsys.readouterr().err
