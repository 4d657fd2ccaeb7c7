import errno
import json
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import MachineError, ModelError
from common.hashes import sha256_of
from common.inference.files import EngineFile, KernelFile
from common.inference.network import Fold, Network, Parity
from common.model.model import Model
from common.model.reading import read_model
from common.model.writing import new_model_folder, write_model, write_run
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Statistics

PLANS = Plans(
    generation=2,
    patch=(8, 8, 8),
    spacing=(3.0, 2.0, 2.0),
    transpose_forward=(0, 2, 1),
    channels=(
        ChannelSpec("CT", "ct", statistics=Statistics(1.0, 2.0, -3.0, 4.0)),
        ChannelSpec("PET", "z_score"),
    ),
    resample_data=Resampling(3),
    resample_prediction=Resampling(1, force_separate_z=True),
)


def onnx_file(producer: bytes) -> bytes:
    """The least that a model file may hold: its producer's name."""
    return bytes([0x12, len(producer)]) + producer


def write(folder: Path, content: bytes = b"weights", names: tuple[str, ...] = ("0", "1")) -> Model:
    """Make a model folder with one small file for each fold."""
    with new_model_folder(folder) as staging:
        folds = []
        for name in names:
            path = staging / f"fold_{name}.onnx"
            path.write_bytes(onnx_file(content + name.encode()))
            folds.append(Fold(name, path, Parity(1e-6, 0.5)))
        network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (0, 2), tuple(folds), 1000, PLANS)
        write_model(staging, Model("demo", (network,), "source", {"point_width": 2}))
    return read_model(folder, "demo")


def compile_network(folder: Path, *, keep_onnx: bool = True) -> Model:
    """Add one small file for an engine of each fold, and one for a kernel, to a folder that `write` made."""
    model = read_model(folder, "demo")
    (network,) = model.networks
    (folder / "im2col.sm75.cubin").write_bytes(b"kernel")
    folds = []
    for fold in network.folds:
        path = folder / f"fold_{fold.name}.sm75.engine"
        path.write_bytes(b"engine" + fold.name.encode())
        engine = EngineFile(path, "tensorrt_rtx", "1.7.1", "7.5", "float16", (1,), 64, sha256_of(path))
        kept = fold.path if keep_onnx else None
        folds.append(replace(fold, path=kept, engines=(engine,), float16=Parity(1e-3, 0.5)))
    kernel = KernelFile(folder / "im2col.sm75.cubin", "7.5", sha256_of(folder / "im2col.sm75.cubin"))
    compiled = replace(network, folds=tuple(folds), kernels=(kernel,))
    write_model(folder, replace(model, networks=(compiled,)))
    return read_model(folder, "demo")


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    """Change `model.json`."""
    document = json.loads((folder / "model.json").read_text())
    change(document)
    (folder / "model.json").write_text(json.dumps(document))


def refusal(folder: Path, algorithm: str = "demo") -> str:
    """The one line that reading the folder gives."""
    with pytest.raises(ModelError) as caught:
        read_model(folder, algorithm)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_comes_back_as_it_was_written(tmp_path: Path) -> None:
    model = write(tmp_path / "model")
    network = model.network("segmentation")
    assert (model.algorithm, model.source_sha256, model.settings) == ("demo", "source", {"point_width": 2})
    assert network.plans == PLANS
    assert (network.channels, network.patch, network.classes) == (("CT", "PET"), (8, 8, 8), 2)
    assert (network.mirror_axes, network.tile_memory) == ((0, 2), 1000)
    assert [fold.name for fold in network.folds] == ["0", "1"]
    paths = [fold.path for fold in network.folds if fold.path is not None]
    assert [path.read_bytes() for path in paths] == [
        onnx_file(b"weights0"),
        onnx_file(b"weights1"),
    ]
    assert [fold.sha256 for fold in network.folds] == [sha256_of(path) for path in paths]
    assert network.folds[0].parity == Parity(1e-6, 0.5)


def test_a_model_folder_can_be_moved(tmp_path: Path) -> None:
    write(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    path = read_model(tmp_path / "elsewhere", "demo").networks[0].folds[0].path
    assert path == tmp_path / "elsewhere" / "fold_0.onnx"
    assert path.is_file()


def test_engines_and_kernels_come_back_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path)
    network = compile_network(tmp_path).networks[0]
    files = network.files(network.folds[1])
    path = tmp_path / "fold_1.sm75.engine"
    assert files.onnx == tmp_path / "fold_1.onnx"
    assert files.engines == (
        EngineFile(path, "tensorrt_rtx", "1.7.1", "7.5", "float16", (1,), 64, sha256_of(path)),
    )
    assert [(kernel.path, kernel.capability) for kernel in files.kernels] == [
        (tmp_path / "im2col.sm75.cubin", "7.5")
    ]
    assert network.folds[1].float16 == Parity(1e-3, 0.5)


def test_a_folder_for_gpus_only_has_no_onnx(tmp_path: Path) -> None:
    write(tmp_path)
    folds = compile_network(tmp_path, keep_onnx=False).networks[0].folds
    for path in tmp_path.glob("*.onnx"):
        path.unlink()
    assert read_model(tmp_path, "demo").networks[0].folds == folds
    assert [(fold.path, fold.sha256, len(fold.engines)) for fold in folds] == [(None, "", 1)] * 2


def test_a_fold_with_neither_onnx_nor_engines_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    edit(tmp_path, lambda document: document["networks"][0]["folds"][1].update(path=None))
    assert "fold 1 of network segmentation has no files, expected ONNX or engines" in refusal(tmp_path)


def test_the_hash_of_an_engine_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    write(tmp_path)
    model = compile_network(tmp_path)
    (tmp_path / "fold_0.sm75.engine").write_bytes(b"altered")
    (tmp_path / "im2col.sm75.cubin").write_bytes(b"altered")
    assert read_model(tmp_path, "demo") == model


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("fold_0.sm75.engine", "an engine of fold 0"),
        ("im2col.sm75.cubin", "a kernel of network segmentation"),
    ],
)
def test_an_engine_or_kernel_that_is_not_there_is_named(tmp_path: Path, name: str, purpose: str) -> None:
    write(tmp_path)
    compile_network(tmp_path)
    (tmp_path / name).unlink()
    assert f"{name}: no such file, expected {purpose}" in refusal(tmp_path)


def test_an_earlier_models_engines_and_kernels_are_removed(tmp_path: Path) -> None:
    write(tmp_path)
    compile_network(tmp_path)
    write(tmp_path, names=("0",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold_0.onnx", "model.json"]


def test_an_earlier_model_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path, names=("0", "1"))
    write(tmp_path, content=b"new", names=("0",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold_0.onnx", "model.json"]
    assert (tmp_path / "fold_0.onnx").read_bytes() == onnx_file(b"new0")


def test_an_export_that_fails_leaves_the_earlier_model(tmp_path: Path) -> None:
    before = write(tmp_path)
    with suppress(ModelError), new_model_folder(tmp_path) as staging:
        (staging / "fold_0.onnx").write_bytes(b"half")
        raise ModelError("halfway")
    assert read_model(tmp_path, "demo") == before
    assert len(list(tmp_path.iterdir())) == 3


def test_what_a_killed_export_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / ".export-killed").mkdir()
    write(tmp_path)
    assert not (tmp_path / ".export-killed").exists()


def test_a_folder_with_other_files_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ModelError, match=r"found files but no model.json.*choose another --model"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_destination_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("")
    with pytest.raises(ModelError, match=r"model: cannot be written \(File exists\)"):
        write(tmp_path / "model")


def test_a_disk_that_fills_up_is_the_machines_fault(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"model: the export fails \(No space left on device\)"),
        new_model_folder(tmp_path / "model"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list((tmp_path / "model").iterdir())


def test_a_model_that_cannot_be_put_in_place_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "fold_0.onnx").mkdir()
    with pytest.raises(MachineError, match=r"the export fails \(Is a directory\)"):
        write(tmp_path)


@pytest.mark.parametrize(("name", "found"), [("nowhere", "no such folder"), ("empty", "an empty folder")])
def test_no_model_is_refused_with_the_file_to_upload(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "empty").mkdir()
    message = refusal(tmp_path / name)
    assert message.startswith(f"{tmp_path / name}: {found}, expected a model; ")
    assert "upload dist/demo_model.tar.gz on your algorithm's page, Models" in message
    assert "--model" in message


def test_a_model_one_folder_too_deep_is_found_and_refused(tmp_path: Path) -> None:
    write(tmp_path / "model")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'model/model.json'}: found one folder too deep")
    assert f"expected {tmp_path / 'model.json'}" in message
    assert "upload dist/demo_model.tar.gz as ./export.sh writes it, whose files lie at the top" in message


@pytest.mark.parametrize("top", ["", "nnUNetTrainer__nnUNetPlans__3d_fullres/"])
@pytest.mark.parametrize(
    "name",
    [
        "plans.json",
        "plans.pkl",
        "fold_0/checkpoint_final.pth",
        "fold_all/debug.json",
        "epoch_1200.pth",
        "model_final_checkpoint.model",
    ],
)
def test_a_raw_checkpoint_is_refused_with_the_command_that_exports_it(
    tmp_path: Path, top: str, name: str
) -> None:
    path = tmp_path / f"{top}{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    message = refusal(tmp_path)
    assert message.startswith(f"{path}: found a training checkpoint")
    assert "run ./build.sh demo --checkpoint DIR and ./export.sh demo" in message
    assert "upload dist/demo_model.tar.gz" in message


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    assert "model: cannot be read (Not a directory); name a folder with --model" in refusal(
        tmp_path / "model"
    )


def test_a_missing_model_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "fold_0.onnx").touch()
    assert "model.json: is missing" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("\0\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "found a list, expected a JSON object"),
        ("{}", "found format version None, expected 4"),
    ],
)
def test_a_model_json_that_is_no_model_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.json").write_text(text, encoding="latin1")
    assert message in refusal(tmp_path)


def test_an_unreadable_model_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").mkdir()
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    edit(tmp_path, lambda document: document.update(format_version=5))
    assert "found format version 5, expected 4" in refusal(tmp_path)


def test_another_algorithm_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    assert "found algorithm 'demo', expected 'gepnet'" in refusal(tmp_path, "gepnet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("networks"), "model.networks is missing"),
        (lambda document: document["networks"][0].pop("patch"), "model.networks[0].patch is missing"),
        (
            lambda document: document["networks"][0].update(classes="two"),
            "model.networks[0].classes: found 'two', expected a whole number",
        ),
        (
            lambda document: document["networks"][0]["plans"].update(patch=[8, 8]),
            "model.networks[0].plans.patch: found [8, 8], expected 3 entries",
        ),
        (lambda document: document["networks"][0].update(folds=[]), "network segmentation has no folds"),
        (
            lambda document: document["networks"][0].update(mirror_axes=[5]),
            "model.networks[0]: found mirror axes (5,), expected some of (0, 1, 2)",
        ),
        (lambda document: document["networks"][0].update(mirror_axes=[1, 1]), "found mirror axes (1, 1)"),
        (
            lambda document: document["networks"][0].update(patch=[8, 8], mirror_axes=[]),
            "model.networks[0]: found patch (8, 8), expected (8, 8, 8) as in its plans",
        ),
        (lambda document: document["networks"][0].update(patch=[8, 8, 0]), "found patch (8, 8, 0)"),
        (lambda document: document["networks"][0].update(patch=[]), "found patch ()"),
        (lambda document: document["networks"][0].update(tile_memory=-1), "found tile_memory -1"),
        (
            lambda document: document["networks"][0]["plans"].update(spacing=[0, 1, 1]),
            "model.networks[0].plans: found spacing (0.0, 1.0, 1.0)",
        ),
        (
            lambda document: document["networks"][0]["plans"]["resample_data"].update(order=9),
            "model.networks[0].plans.resample_data: found spline orders 9 and 0",
        ),
        (
            lambda document: document["networks"][0]["plans"]["channels"][0].update(statistics=None),
            "model.networks[0].plans.channels[0]: channel CT of scheme ct has no statistics",
        ),
    ],
)
def test_missing_and_mistyped_entries_are_named(
    tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    write(tmp_path)
    edit(tmp_path, change)
    assert message in refusal(tmp_path)


def test_a_network_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    model = write(tmp_path)
    with pytest.raises(ModelError, match=r"found networks \['segmentation'\], expected 'localisation'"):
        model.network("localisation")


@pytest.mark.parametrize(
    "name", ["../outside.onnx", "inner/../../outside.onnx", "{parent}/outside.onnx", "link.onnx"]
)
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    write(folder)
    (folder / "inner").mkdir()
    (tmp_path / "outside.onnx").write_bytes(b"weights0")
    (folder / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    target = name.format(parent=tmp_path)
    edit(folder, lambda document: document["networks"][0]["folds"][0].update(path=target))
    assert f"names {target}, expected a file inside the folder" in refusal(folder)


@pytest.mark.parametrize("kind", ["engine", "kernel"])
def test_an_engine_or_kernel_outside_the_folder_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    write(folder)
    compile_network(folder)
    (tmp_path / "outside").touch()

    def move(document: Any) -> None:
        (network,) = document["networks"]
        files = network["folds"][0]["engines"] if kind == "engine" else network["kernels"]
        files[0]["path"] = "../outside"

    edit(folder, move)
    assert "names ../outside, expected a file inside the folder" in refusal(folder)


def test_a_missing_network_file_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "fold_1.onnx").unlink()
    assert "fold_1.onnx: no such file, expected the network of fold 1" in refusal(tmp_path)


def test_an_altered_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    model = write(tmp_path)
    altered = tmp_path / "fold_1.onnx"
    altered.write_bytes(b"weights2")
    message = refusal(tmp_path)
    assert f"fold_1.onnx: altered, found sha256 {sha256_of(altered)}" in message
    assert f"expected {model.networks[0].folds[1].sha256}" in message


@pytest.mark.parametrize("name", ["plans.pkl", "inner/checkpoint_final.PTH", "model.pt"])
def test_a_pickle_anywhere_in_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / name).write_bytes(pickle.dumps(1))
    assert f"{name}: found a pickle" in refusal(tmp_path)


def test_a_model_error_exits_with_3() -> None:
    assert ModelError.exit_code == 3


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_folder_of_an_earlier_format_is_read(tmp_path: Path, version: int) -> None:
    model = write(tmp_path)

    def age(document: Any) -> None:
        document["format_version"] = version
        (network,) = document["networks"]
        del network["kernels"]
        for fold in network["folds"]:
            del fold["engines"], fold["float16"]
        if version == 3:
            return
        del document["interface"]
        if version == 1:
            del document["run"]
        for parity in (fold["parity"] for fold in network["folds"]):
            parity["spread"] = parity.pop("standard_deviation")
            if version == 1:
                del parity["relative_rms_difference"], parity["changed_voxels"]

    edit(tmp_path, age)
    assert read_model(tmp_path, "demo") == model


def test_settings_are_written_without_touching_anything_else(tmp_path: Path) -> None:
    before = write(tmp_path)
    write_run(tmp_path, {"time_limit": 600.0, "folds": ["1"]})
    after = read_model(tmp_path, "demo")
    assert after.run == {"time_limit": 600.0, "folds": ["1"]}
    assert replace(after, run={}) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold_0.onnx", "fold_1.onnx", "model.json"]


def test_folds_are_those_of_the_network_that_has_plans(tmp_path: Path) -> None:
    model = write(tmp_path, names=("3",))
    alone = replace(
        model.networks[0], name="localisation", plans=None, folds=(Fold("0", tmp_path, Parity(0, 1)),)
    )
    assert replace(model, networks=(alone, *model.networks)).fold_names == ["3"]


def test_settings_that_cannot_be_written_leave_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ModelError, match=r"cannot be written \(No space left on device\); check space"):
        write_run(tmp_path, {"step": 1})
    monkeypatch.undo()
    assert read_model(tmp_path, "demo") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold_0.onnx", "fold_1.onnx", "model.json"]


@pytest.mark.parametrize("name", ["a\0.onnx", f"{'x' * 300}.onnx", "circle.onnx", "a\nb.onnx", "fifo.onnx"])
def test_a_name_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "circle.onnx").symlink_to(tmp_path / "circle.onnx")
    os.mkfifo(tmp_path / "fifo.onnx")
    edit(tmp_path, lambda document: document["networks"][0]["folds"][0].update(path=name))
    assert "expected" in refusal(tmp_path)


def test_a_network_whose_weights_lie_elsewhere_is_refused_though_its_hash_fits(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "fold_0.onnx"
    path.write_bytes(b"\x3a\x04\x2a\x02\x70\x01")
    edit(tmp_path, lambda document: document["networks"][0]["folds"][0].update(sha256=sha256_of(path)))
    assert "fold_0.onnx: found weights in another file, expected a network of standard" in refusal(tmp_path)


def test_an_entry_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"algorithm": "demo"', '"algorithm": "x", "algorithm": "demo"'))
    assert "has the entry 'algorithm' twice" in refusal(tmp_path)


@pytest.mark.parametrize("depth", [900, 960, 980, 1000])
def test_settings_nested_too_deep_are_refused(tmp_path: Path, depth: int) -> None:
    write(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"point_width": 2', '"a": ' + "[" * depth + "]" * depth))
    assert "model.json: " in refusal(tmp_path)
