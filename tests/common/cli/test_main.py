"""Exit codes and messages of the whole command, on the golden model and a small phantom."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK
import torch

from common import algorithms
from common.cli.main import main
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.memory import GIB
from common.signals import TOLD_TO_STOP

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
def news():
    """The lines of stdout that `run` left."""
    return []


@pytest.fixture
def run(case, golden_model, tmp_path, capsys, news):
    """Run the case; returns the exit code and the lines of stderr, the last of which the platform shows."""

    def run(*options, model=golden_model, output=tmp_path / "output"):
        folders = ["--input", str(case), "--output", str(output), "--model", str(model)]
        code = main(["run", "autopet_interactive", *folders, *options])
        shown = capsys.readouterr()
        news.extend(shown.out.splitlines())
        return code, shown.err.splitlines()

    return run


def test_mask_lies_where_the_platform_looks_for_it(run, case, tmp_path):
    assert run()[0] == 0
    mask = SimpleITK.ReadImage(tmp_path / "output" / MASK)
    pet = SimpleITK.ReadImage(case / "images/pet/case.mha")
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    assert mask.GetSize() == pet.GetSize()
    assert (mask.GetSpacing(), mask.GetOrigin()) == (pet.GetSpacing(), pet.GetOrigin())
    assert (
        main(
            [
                "check",
                "output",
                "autopet_interactive",
                "--input",
                str(case),
                "--output",
                str(tmp_path / "output"),
            ]
        )
        == 0
    )


OWN_INTERFACE = {
    "title": "Lesions, with sockets of the model's own",
    "inputs": [
        {
            "slug": "scan",
            "kind": "image",
            "relative_path": "images/scan",
            "channel": "CT",
            "names_mask": True,
        },
        {
            "slug": "tracer",
            "kind": "image",
            "relative_path": "images/tracer",
            "channel": "PET",
            "reference": True,
        },
    ],
    "outputs": [
        {
            "slug": "organs",
            "kind": "segmentation",
            "relative_path": "images/organs",
            "labels": ["lesion", "liver"],
        }
    ],
    "run": {"engine": "cpu"},
}


def test_a_models_own_sockets_count(run, case, news, golden_model, tmp_path):
    model = edited(golden_model, tmp_path / "model", lambda d: d.update(interface=OWN_INTERFACE))
    (case / "inputs.json").unlink()
    (case / "images/ct").rename(case / "images/scan")
    (case / "images/pet").rename(case / "images/tracer")
    assert run(model=model) == (0, [])
    assert any("engine cpu (interface.json)" in line for line in news)
    assert (tmp_path / "output/images/organs/case.mha").is_file()
    check = [
        "check",
        "output",
        "autopet_interactive",
        "--input",
        str(case),
        "--output",
        str(tmp_path / "output"),
    ]
    assert main([*check, "--model", str(model)]) == 0
    assert main(check) == 2
    assert main([*check, "--model", str(tmp_path)]) == 3


def test_mask_is_the_only_file_written(run, tmp_path):
    run()
    assert [str(p.relative_to(tmp_path / "output")) for p in tmp_path.glob("output/**/*.*")] == [MASK]


def test_same_case_gives_the_same_mask(run, tmp_path):
    masks = []
    for name in ("first", "second"):
        run(output=tmp_path / name)
        masks.append((tmp_path / name / MASK).read_bytes())
    assert masks[0] == masks[1]


def test_one_log_line_names_engine_device_and_precision(run, news):
    run("--engine", "cpu")
    (line,) = [line for line in news if "engine: " in line]
    assert "engine: cpu, device: " in line
    assert "precision: float32" in line


def test_log_of_a_run_without_warnings_is_on_stdout_alone(run, news):
    assert run("--engine", "cpu") == (0, [])
    assert "done: " in news[-1]


def test_missing_clicks_are_a_warning(run, case):
    (case / "inputs.json").unlink()
    (case / "lesion-clicks.json").unlink()
    code, lines = run()
    assert code == 0
    (line,) = lines
    assert "WARNING" in line
    assert "lesion-clicks.json: no such file" in line


def test_time_limit_gives_up_folds_and_mirrorings_before_failing(run):
    code, lines = run("--time-limit", "0.01")
    assert code == 4
    assert "the time limit ended" in lines[-1]


def rewrite(path, change):
    image = SimpleITK.ReadImage(path)
    array = change(SimpleITK.GetArrayFromImage(image).astype(np.float32))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), path)


def remove(path):
    path.unlink()


def empty(path):
    """A volume without slices, which SimpleITK would not write."""
    header = b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    header += b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 4 4 6\n"
    path.write_bytes(header + b"DimSize = 4 4 0\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil(array, value=np.nan):
    array[3, 4, 5] = value
    return array


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        pytest.param(remove, "images/pet: 0 images", id="missing image"),
        pytest.param(lambda p: shutil.copy(p, p.with_name("b.mha")), "images/pet: 2 images", id="two images"),
        pytest.param(truncate, "images/pet/case.mha: ", id="truncated image"),
        pytest.param(lambda p: p.write_text("no image"), "images/pet/case.mha: ", id="no image"),
        pytest.param(lambda p: rewrite(p, spoil), "images/pet/case.mha: ", id="NaN"),
        pytest.param(
            lambda p: rewrite(p, lambda a: spoil(a, np.inf)), "holds NaN or infinite voxels", id="infinite"
        ),
        pytest.param(empty, "an empty volume of 4 × 4 × 0 voxels", id="empty volume"),
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


def edited(golden_model, folder, change):
    """A copy of the golden model whose `model.json` was changed."""
    model = shutil.copytree(golden_model, folder)
    document = json.loads((model / "model.json").read_text())
    change(document)
    (model / "model.json").write_text(json.dumps(document))
    return model


def set_patch(document, patch):
    network = document["networks"][0]
    network["patch"] = network["plans"]["patch"] = patch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda d: set_patch(d, [8, 8, 8]), "takes tiles of shape", id="patch of another file"),
        pytest.param(lambda d: set_patch(d, [8, 8]), "expected 3 entries", id="2D patch"),
        pytest.param(lambda d: set_patch(d, [0, 8, 8]), "found patch (0, 8, 8)", id="patch of no voxel"),
        pytest.param(lambda d: d.update(networks=[]), "found networks []", id="no networks"),
        pytest.param(lambda d: d["networks"][0].update(plans=None), "has no plans", id="no plans"),
    ],
)
def test_altered_numbers_of_the_model_are_exit_code_3(run, golden_model, tmp_path, change, message):
    code, lines = run("--engine", "cpu", model=edited(golden_model, tmp_path / "model", change))
    assert code == 3
    assert message in lines[-1]


def export(checkpoint, tmp_path, capsys):
    code = main(
        ["export", "autopet_interactive", "--checkpoint", str(checkpoint), "--model", str(tmp_path / "model")]
    )
    return code, capsys.readouterr().err.splitlines()[-1]


def test_checkpoint_of_another_network_is_exit_code_3(golden_checkpoint, tmp_path, capsys):
    checkpoint = shutil.copytree(golden_checkpoint, tmp_path / "checkpoint")
    path = checkpoint / "fold_0" / "checkpoint_final.pth"
    document = torch.load(path, weights_only=False)
    weights = document["network_weights"]
    name = next(name for name in weights if name.startswith("decoder"))
    weights["surplus.weight"] = weights.pop(name)
    torch.save(document, path)
    code, line = export(checkpoint, tmp_path, capsys)
    assert code == 3
    assert f"{path}: the weights do not fit" in line
    assert f"missing: {name}; surplus: surplus.weight" in line


def test_plans_that_are_not_supported_are_exit_code_3(golden_checkpoint, tmp_path, capsys):
    checkpoint = shutil.copytree(golden_checkpoint, tmp_path / "checkpoint")
    plans = json.loads((checkpoint / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["normalization_schemes"][0] = "MyNormalization"
    (checkpoint / "plans.json").write_text(json.dumps(plans))
    code, line = export(checkpoint, tmp_path, capsys)
    assert code == 3
    assert f"{checkpoint / 'plans.json'}: configuration 3d_fullres: found normalization scheme" in line


@pytest.mark.parametrize("algorithm", ["autopet_interactive", "l2snet"])
def test_plans_for_an_algorithm_that_takes_none_are_exit_code_2(algorithm, tmp_path, capsys):
    folders = ["--checkpoint", str(tmp_path), "--model", str(tmp_path / "model")]
    assert main(["export", algorithm, *folders, "--plans", "plans.json"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: --plans: {algorithm} reads its plans in the checkpoint's folder; leave --plans out"
    )


def test_unwritable_output_is_exit_code_2_before_the_work(run, tmp_path):
    (tmp_path / "file").touch()
    code, lines = run(output=tmp_path / "file")
    assert code == 2
    assert str(tmp_path / "file") in lines[-1]


def test_another_mask_in_the_output_is_exit_code_2_before_the_work(run, news, tmp_path):
    (tmp_path / "output" / MASK).parent.mkdir(parents=True)
    (tmp_path / "output" / MASK).with_name("earlier.mha").touch()
    code, lines = run()
    assert code == 2
    assert "earlier.mha: is there already" in lines[-1]
    assert not any("engine: " in line for line in news)


def test_earlier_mask_of_the_same_case_is_replaced(run, tmp_path):
    (tmp_path / "output" / MASK).parent.mkdir(parents=True)
    (tmp_path / "output" / MASK).write_text("earlier")
    assert run("--engine", "cpu") == (0, [])
    assert SimpleITK.ReadImage(tmp_path / "output" / MASK).GetPixelID() == SimpleITK.sitkUInt8


def test_full_disk_is_exit_code_2_before_the_work(run, news, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=2, f_frsize=4096, f_blocks=100))
    code, lines = run()
    assert code == 2
    assert "the mask needs up to 0.03 MiB, 0.00 MiB are free" in lines[-1]
    assert not any("engine: " in line for line in news)


def test_case_of_the_longest_name_in_capitals_has_a_mask(run, case, tmp_path):
    path = case / "images/ct/case.mha"
    path.rename(path.with_name("ü" * 125 + "x.MHA"))
    assert run("--engine", "cpu") == (0, [])
    assert [path.name for path in (tmp_path / "output").rglob("*.mha")] == ["ü" * 125 + "x.mha"]


def test_bfloat16_on_an_engine_without_it_is_exit_code_4(run):
    code, lines = run("--engine", "cpu", "--precision", "bfloat16")
    assert code == 4
    assert "bfloat16 needs --engine openvino" in lines[-1]


def test_failure_leaves_no_output(run, case, tmp_path):
    truncate(case / "images/ct/case.mha")
    run()
    assert not [path for path in tmp_path.glob("output/**/*") if path.is_file()]


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 4, f"error: {TOLD_TO_STOP}")],
)
def test_run_that_a_signal_ends_has_its_exit_code_one_line_and_no_output(
    number, code, line, golden_model, tmp_path
):
    write_phantom(make_phantom(1, (60, 60, 60), (6.0, 4.0, 4.0)), tmp_path / "input", tmp_path / "case.mha")
    folders = ["--input", tmp_path / "input", "--output", tmp_path / "output", "--model", golden_model]
    with subprocess.Popen(
        [sys.executable, "-m", "common.cli.main", "run", "autopet_interactive", "--engine", "cpu", *folders],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert any(" tiles of fold " in line for line in process.stdout)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, f"{line}\n")
    assert not [path for path in tmp_path.glob("output/**/*") if path.is_file()]


def test_too_little_memory_is_exit_code_4_and_says_how_much(case, golden_model, tmp_path):
    model = edited(golden_model, tmp_path / "model", lambda d: d["networks"][0].update(tile_memory=8 * GIB))
    folders = ["--input", case, "--output", tmp_path / "output", "--model", model]
    limited = subprocess.run(
        [sys.executable, "-m", "common.cli.main", "run", "autopet_interactive", *folders],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (4 * GIB, 4 * GIB)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 4
    assert "needs about 8.0" in limited.stderr.splitlines()[-1]


def test_too_little_memory_to_start_is_exit_code_4():
    limited = subprocess.run(
        [sys.executable, "-m", "common.cli.main", "phantom", "--help"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (GIB * 5 // 32, GIB * 5 // 32)),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert limited.returncode == 4
    assert "petct needs 256 MiB of memory to start" in limited.stderr


def test_phantom_is_a_case_and_its_truth(tmp_path):
    shape = ["--shape", "20", "16", "18", "--spacing", "40", "30", "30"]
    assert main(["phantom", "--output", str(tmp_path), "--seed", "3", *shape]) == 0
    assert SimpleITK.ReadImage(tmp_path / "truth/phantom_3.mha").GetSize() == (18, 16, 20)
    assert (tmp_path / "input/inputs.json").is_file()


def test_phantom_beyond_the_machines_memory_is_exit_code_4(tmp_path, capsys):
    assert main(["phantom", "--output", str(tmp_path), "--shape", "100000", "100000", "100000"]) == 4
    assert "a phantom of this shape needs about" in capsys.readouterr().err.splitlines()[-1]


def test_phantom_into_a_file_is_exit_code_2(tmp_path, capsys):
    (tmp_path / "file").touch()
    shape = ["--shape", "4", "4", "4", "--spacing", "40", "40", "40"]
    assert main(["phantom", "--output", str(tmp_path / "file"), *shape]) == 2
    assert "the phantom cannot be written" in capsys.readouterr().err.splitlines()[-1]


def test_masks_are_compared_by_one_label(phantom_input, capsys):
    folders = ["--truth", str(phantom_input.parent), "--prediction", str(phantom_input.parent)]
    assert main(["evaluate", *folders, "--label", "1"]) == 0
    assert "1 cases: Dice 1.000 (mean)" in capsys.readouterr().out
    assert main(["evaluate", *folders, "--label", "2"]) == 0
    assert "1 cases: Dice - (mean)" in capsys.readouterr().out


def test_missing_package_is_exit_code_4(monkeypatch, tmp_path, capsys):
    def module(name, part):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(algorithms, "module", module)
    arguments = ["export", "l2snet", "--checkpoint", str(tmp_path), "--model", str(tmp_path)]
    assert main(arguments) == 4
    assert (
        "torch is not installed; pip install '.[openvino,evaluate,export,serve,report,dicom,cohort]'"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "nothing"],
        ["run", "autopet_interactive", "--engine", "x"],
        ["run", "autopet_interactive", "--time-limit", "-1"],
        ["run", "autopet_interactive", "--time-limit", "inf"],
        ["evaluate", "--truth", "x", "--prediction", "x", "--label", "0"],
        ["phantom", "--output", "x", "--seed", "-1"],
        ["phantom", "--output", "x", "--shape", "0", "1", "1"],
        ["phantom", "--output", "x", "--spacing", "1e-30", "1", "1"],
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: petct" in capsys.readouterr().err


def settings_of(model):
    return json.loads((model / "model.json").read_text())["run"]


def test_settings_travel_with_the_model(run, news, golden_model, tmp_path, capsys):
    model = shutil.copytree(golden_model, tmp_path / "model")
    assert main(["settings", str(model), "--time-limit", "none", "--folds", "1", "--mirroring", "none"]) == 0
    assert settings_of(model) == {"time_limit": None, "folds": ["1"], "mirroring": "none"}
    assert main(["settings", str(model), "--step", "1", "--engine", "cpu"]) == 0
    capsys.readouterr()
    assert run(model=model)[0] == 0
    (line,) = [line for line in news if "settings: " in line]
    assert line.endswith(
        "settings: time_limit none (model.json), engine cpu (model.json), mirroring none (model.json), "
        "folds 1 (model.json), step 1 (model.json)"
    )
    assert any("tiles of fold 1" in line for line in news)
    assert not any("tiles of fold 0" in line for line in news)


def test_settings_are_shown_and_forgotten(golden_model, tmp_path, capsys):
    model = shutil.copytree(golden_model, tmp_path / "model")
    main(["settings", str(model), "--time-limit", "600", "--precision", "bfloat16"])
    capsys.readouterr()
    assert main(["settings", str(model)]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (shown["time-limit"], shown["precision"], shown["folds"]) == ("600", "bfloat16", "not set")
    assert main(["settings", str(model), "--clear", "--step", "0.7"]) == 0
    assert settings_of(model) == {"step": 0.7}


def test_a_fold_that_the_model_lacks_is_no_setting(golden_model, tmp_path, capsys):
    model = shutil.copytree(golden_model, tmp_path / "model")
    assert main(["settings", str(model), "--folds", "4"]) == 2
    assert "found no fold 4, the model has 0, 1" in capsys.readouterr().err
    assert settings_of(model) == {}


def test_variables_win_over_the_model_and_arguments_over_variables(
    run, news, golden_model, tmp_path, monkeypatch
):
    model = shutil.copytree(golden_model, tmp_path / "model")
    main(["settings", str(model), "--step", "0.6", "--mirroring", "none", "--folds", "0"])
    monkeypatch.setenv("PETCT_STEP", "0.7")
    monkeypatch.setenv("PETCT_MIRRORING", "none")
    assert run("--step", "0.8", model=model)[0] == 0
    (line,) = [line for line in news if "settings: " in line]
    for part in ("step 0.8 (argument)", "mirroring none (environment)", "folds 0 (model.json)"):
        assert part in line
    assert "time_limit 900 (interface.json)" in line


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            lambda d: d["run"].update(precision="float8"),
            3,
            "model.json: run.precision: found 'float8', expected",
        ),
        (lambda d: d["run"].update(speed=1), 3, "run.speed is no setting"),
        (lambda d: d["run"].update(folds=["9"]), 3, "found no fold 9, the model has 0, 1"),
    ],
)
def test_settings_of_the_model_that_make_no_sense_are_refused(
    run, golden_model, tmp_path, change, code, message
):
    ended, errors = run(model=edited(golden_model, tmp_path / "model", change))
    assert ended == code
    assert message in errors[-1]


def test_a_variable_that_makes_no_sense_is_exit_code_2(run, monkeypatch):
    monkeypatch.setenv("PETCT_TIME_LIMIT", "soon")
    code, errors = run()
    assert code == 2
    assert "PETCT_TIME_LIMIT: found soon, expected a number of seconds, or none" in errors[-1]


def test_an_engine_that_never_has_the_precision_is_no_setting(
    golden_model, golden_checkpoint, tmp_path, capsys
):
    model = shutil.copytree(golden_model, tmp_path / "model")
    impossible = ["--engine", "cpu", "--precision", "bfloat16"]
    assert main(["settings", str(model), *impossible]) == 4
    assert settings_of(model) == {}
    folders = ["--checkpoint", str(golden_checkpoint), "--model", str(tmp_path / "other")]
    assert main(["export", "autopet_interactive", *folders, *impossible]) == 4
    assert not (tmp_path / "other").exists()
    assert capsys.readouterr().err.count("bfloat16 needs --engine openvino") == 2


def test_export_writes_the_settings_it_was_given(golden_checkpoint, tmp_path, capsys):
    folders = ["--checkpoint", str(golden_checkpoint), "--model", str(tmp_path / "model")]
    assert main(["export", "autopet_interactive", *folders, "--folds", "1", "--time-limit", "600"]) == 0
    assert settings_of(tmp_path / "model") == {"folds": ["1"], "time_limit": 600.0}
    out = capsys.readouterr().out
    assert "segmentation, fold 1 of 1: exporting segmentation_fold_1.onnx" in out
    assert "exported: " in out


def test_engines_tells_the_machine_and_the_rung_that_a_model_gets(golden_model, capsys):
    assert main(["engines", "--model", str(golden_model), "--precision", "bfloat16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("CPU: ") for line in lines)
    assert any(line.startswith("engine openvino in bfloat16: ") for line in lines)
    assert any(line.startswith("segmentation_fold_0.onnx: engine: ") for line in lines)
    assert lines[-1].startswith("a clinical case: ")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("instructions", ["AVX512_CORE", "AVX2", "SSE41"])
def test_a_cpu_of_lower_instruction_sets_gives_the_same_mask(
    run, case, golden_model, tmp_path, instructions, precision
):
    """oneDNN, on which OpenVINO computes, obeys a variable that hides instruction sets from it."""
    assert run("--precision", precision)[0] == 0
    folders = ["--input", case, "--output", tmp_path / "lower", "--model", golden_model]
    command = [sys.executable, "-m", "common.cli.main", "run", "autopet_interactive", *folders]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
    subprocess.run([*command, "--precision", precision], env=environment, check=True)
    paths = [tmp_path / folder / MASK for folder in ("output", "lower")]
    full, lower = (SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)) for path in paths)
    assert full.any()
    assert (full != lower).mean() < (1e-2 if precision == "bfloat16" else 1e-4)
