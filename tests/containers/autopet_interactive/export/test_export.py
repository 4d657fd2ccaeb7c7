import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from common.cli.main import main
from common.errors import ModelError
from common.model.reading import read_model
from containers.autopet_interactive.export import export
from tests.support.golden_cases import (
    autopet_checkpoint,
    autopet_dataset,
    autopet_plans,
    write_trained_folder,
)


def test_the_model_folder_holds_what_the_algorithm_needs(golden_model: Path) -> None:
    model = read_model(golden_model, "autopet_interactive")
    assert model.settings == {"point_width": 2, "encoding": "distance"}
    (network,) = model.networks
    assert network.name == "segmentation"
    assert network.channels == ("CT", "PET", "tumor clicks", "background clicks")
    assert (network.patch, network.classes, network.mirror_axes) == ((32, 48, 48), 2, (0, 1, 2))
    assert [fold.name for fold in network.folds] == ["0", "1"]
    assert network.plans is not None
    assert [channel.name for channel in network.plans.channels] == ["CT", "PET"]
    assert network.tile_memory > 4 * 8 * 32 * 48 * 48


def test_the_measured_parity_is_far_below_the_limit(golden_model: Path) -> None:
    for fold in read_model(golden_model, "autopet_interactive").networks[0].folds:
        assert fold.parity.relative_rms_difference is not None
        assert fold.parity.relative_rms_difference < 1e-4
        assert fold.parity.changed_voxels == 0


def test_the_folder_holds_json_and_onnx_only(golden_model: Path) -> None:
    assert sorted(path.name for path in golden_model.iterdir()) == [
        "model.json",
        "segmentation_fold_0.onnx",
        "segmentation_fold_1.onnx",
    ]
    assert json.loads((golden_model / "model.json").read_text())["format_version"] == 4


def test_images_that_the_data_set_both_calls_ct_are_told_apart_by_their_order(tmp_path: Path) -> None:
    dataset = autopet_dataset() | {"channel_names": {"0": "CT", "1": "CT"}}
    checkpoint = write_trained_folder(
        tmp_path / "trained", autopet_plans(), dataset, {"0": autopet_checkpoint(0)}
    )
    export(checkpoint, tmp_path / "model")
    (network,) = read_model(tmp_path / "model", "autopet_interactive").networks
    assert [channel.name for channel in network.nnunet_plans.channels] == ["CT", "PET"]


def resize(weights: Any, inputs: int, classes: int) -> None:
    for name in weights:
        if name.endswith(("stem.convs.0.conv.weight", "stem.convs.0.all_modules.0.weight")):
            weights[name] = torch.zeros(8, inputs, 3, 3, 3)
        elif "decoder.seg_layers" in name:
            weights[name] = torch.zeros(classes, *weights[name].shape[1:])


@pytest.mark.parametrize(
    ("inputs", "classes", "change", "message"),
    [
        (4, 3, lambda plans, dataset: None, "tells 3 classes apart, expected 2"),
        (
            2,
            2,
            lambda plans, dataset: None,
            r"takes 2 channels, expected 4 \(CT, PET, tumor clicks, background",
        ),
        (
            4,
            2,
            lambda plans, dataset: dataset.update(channel_names={"0": "PET", "1": "CT"}),
            "dataset.json: found channels PET, CT, expected CT, PET",
        ),
        (
            4,
            2,
            lambda plans, dataset: plans["configurations"]["3d_fullres"].update(
                patch_size=[48, 48], spacing=[2.0, 2.0]
            ),
            r"plans.json: configuration 3d_fullres: found patch_size \[48, 48\], expected a 3D",
        ),
    ],
)
def test_a_checkpoint_of_another_task_is_refused_and_nothing_is_written(
    tmp_path: Path, inputs: int, classes: int, change: Callable[[Any, Any], object], message: str
) -> None:
    plans, dataset, checkpoint = autopet_plans(), autopet_dataset(), autopet_checkpoint(0)
    change(plans, dataset)
    resize(checkpoint["network_weights"], inputs, classes)
    write_trained_folder(tmp_path / "checkpoint", plans, dataset, {"0": checkpoint})
    with pytest.raises(ModelError, match=message):
        export(tmp_path / "checkpoint", tmp_path / "model")
    assert not (tmp_path / "model" / "model.json").exists()


def test_a_hostile_checkpoint_exits_with_3_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "trace"),)

    checkpoint = autopet_checkpoint(0) | {"logging": Hostile()}
    write_trained_folder(tmp_path / "checkpoint", autopet_plans(), autopet_dataset(), {"0": checkpoint})
    arguments = ["--checkpoint", str(tmp_path / "checkpoint"), "--model", str(tmp_path / "model")]
    assert main(["export", "autopet_interactive", *arguments]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint_final.pth: found the type posix.mkdir, expected tensors and plain numbers only" in line
    assert not (tmp_path / "trace").exists()


def test_a_fold_that_is_not_there_is_refused(golden_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found no fold_5"):
        export(golden_checkpoint, tmp_path / "model", ["0", "5"])


def test_a_fold_exported_alone_gives_the_same_file(
    golden_checkpoint: Path, golden_model: Path, tmp_path: Path
) -> None:
    export(golden_checkpoint, tmp_path, ["1"])
    (alone,) = read_model(tmp_path, "autopet_interactive").networks[0].folds
    among_others = read_model(golden_model, "autopet_interactive").networks[0].folds[1]
    assert alone.path
    assert (alone.name, alone.path.name) == ("1", "segmentation_fold_1.onnx")
    assert (alone.sha256, alone.parity) == (among_others.sha256, among_others.parity)
