import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.errors import ModelError
from common.export.checkpoints.v2.trained_folder import export_trained_folder, load_fold, read_trained_folder
from common.inference.engines.ladder import make_engine
from common.model.reading import read_model
from tests.support.golden_cases import (
    autopet_checkpoint,
    autopet_dataset,
    autopet_plans,
    write_trained_folder,
)

CLICKS = ("tumor clicks", "background clicks")
ORGANS = "decoder.organ_seg_layers."


def write(
    folder: Path,
    *,
    plans: Callable[[Any], object] = lambda _: None,
    dataset: Callable[[Any], object] = lambda _: None,
    second: Callable[[Any], object] = lambda _: None,
) -> Path:
    """The golden folder with its plans, its data set or its second fold changed."""
    documents = (autopet_plans(), autopet_dataset(), autopet_checkpoint(1))
    for document, change in zip(documents, (plans, dataset, second), strict=True):
        change(document)
    return write_trained_folder(folder, *documents[:2], {"0": autopet_checkpoint(0), "1": documents[2]})


def refusal(folder: Path, **options: Any) -> str:
    """The one line that exporting the second fold after the first gives."""

    def load_all() -> None:
        trained = read_trained_folder(folder)
        for fold in trained.folds:
            load_fold(trained, fold, options.get("ignored_prefix", ORGANS))

    with pytest.raises(ModelError) as caught:
        load_all()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def original_logits(fold: int, tiles: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What nnU-Net's way of building and loading gives: every tensor copied in, strictly."""
    arguments = copy.deepcopy(autopet_plans()["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"])
    arguments |= {
        "conv_op": torch.nn.Conv3d,
        "norm_op": torch.nn.InstanceNorm3d,
        "nonlin": torch.nn.LeakyReLU,
    }
    network = ResidualEncoderUNet(input_channels=4, num_classes=2, **arguments)
    weights = autopet_checkpoint(fold)["network_weights"]
    network.load_state_dict({name: value for name, value in weights.items() if not name.startswith(ORGANS)})
    with torch.inference_mode():
        return np.asarray(network.eval()(torch.from_numpy(tiles)))


def test_a_trained_folder_tells_what_its_folds_share(golden_checkpoint: Path) -> None:
    trained = read_trained_folder(golden_checkpoint)
    assert list(trained.folds) == ["0", "1"]
    assert (trained.configuration, trained.channels, trained.classes) == ("3d_fullres", 4, 2)
    assert (trained.image_channels, trained.mirror_axes) == (("CT", "PET"), (0, 1, 2))
    assert trained.plans.patch == (32, 48, 48)
    assert trained.labels == ("tumor",)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_exported_logits_are_those_of_the_original(golden_model: Path, fold: int) -> None:
    tiles = np.random.default_rng(1).standard_normal((1, 4, 32, 48, 48), np.float32)
    exported = read_model(golden_model, "autopet_interactive").networks[0].folds[fold]
    assert exported.path is not None
    logits = make_engine(exported.path, engine="cpu").run(tiles)
    np.testing.assert_allclose(logits, original_logits(fold, tiles), atol=1e-4)


def test_the_source_hash_follows_every_file_that_is_used(golden_checkpoint: Path, tmp_path: Path) -> None:
    def source(folder: Path, folds: list[str] | None = None) -> str:
        return read_trained_folder(folder, folds).source_sha256()

    original = source(golden_checkpoint)
    assert source(golden_checkpoint, ["0"]) != original
    assert source(write(tmp_path / "a", plans=lambda document: document.update(note=1))) != original
    copied = write(tmp_path / "b")
    again = source(copied)
    with (copied / "fold_1" / "checkpoint_final.pth").open("ab") as file:
        file.write(b"\0")
    assert source(copied, ["0"]) == source(copied, ["0"])
    assert source(copied) != again


def test_each_step_is_logged(golden_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trained = read_trained_folder(golden_checkpoint, ["1"])
    load_fold(trained, "1", ORGANS)
    assert [record.getMessage() for record in caplog.records] == [
        f"{golden_checkpoint}: 3d_fullres, trained by autopetTrainerInteractive, folds 1",
        f"reading {golden_checkpoint / 'fold_1' / 'checkpoint_final.pth'}",
    ]


def test_tensors_that_only_training_uses_are_surplus_unless_ignored(golden_checkpoint: Path) -> None:
    message = refusal(golden_checkpoint, ignored_prefix=None)
    assert "fold_0/checkpoint_final.pth: the weights do not fit" in message
    assert f"surplus: {ORGANS}0.weight, {ORGANS}0.bias, {ORGANS}1.weight and 3 more" in message


def test_missing_tensors_of_a_fold_are_named(tmp_path: Path) -> None:
    name = "decoder.transpconvs.1.bias"
    folder = write(tmp_path, second=lambda checkpoint: checkpoint["network_weights"].pop(name))
    message = refusal(folder)
    assert "fold_1/checkpoint_final.pth: the weights do not fit" in message
    assert f"missing: {name};" in message


def test_a_fold_of_another_shape_is_refused(tmp_path: Path) -> None:
    name = "encoder.stem.convs.0.conv.weight"

    def widen(checkpoint: Any) -> None:
        checkpoint["network_weights"][name] = torch.zeros(8, 5, 3, 3, 3)

    message = refusal(write(tmp_path, second=widen))
    assert f"of another shape: {name} (found [8, 5, 3, 3, 3], expected [8, 4, 3, 3, 3])" in message


def test_a_fold_with_other_mirror_axes_is_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path, second=lambda checkpoint: checkpoint.update(inference_allowed_mirroring_axes=(2,))
    )
    assert "fold_1/checkpoint_final.pth: found mirror axes (2,), expected (0, 1, 2)" in refusal(folder)


def test_a_fold_of_another_configuration_is_refused(tmp_path: Path) -> None:
    def rename(checkpoint: Any) -> None:
        checkpoint["init_args"]["configuration"] = "3d_lowres"

    message = refusal(write(tmp_path, second=rename))
    assert "found configuration '3d_lowres', expected '3d_fullres'" in message


def test_plans_without_the_checkpoints_configuration_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, plans=lambda plans: plans["configurations"].clear())
    assert "plans.json: configuration 3d_fullres: there is no '3d_fullres'" in refusal(folder)


def test_an_inherited_architecture_is_found(tmp_path: Path) -> None:
    def inherit(plans: Any) -> None:
        plans["configurations"]["parent"] = plans["configurations"].pop("3d_fullres")
        plans["configurations"]["3d_fullres"] = {"inherits_from": "parent", "batch_size": 4}

    assert read_trained_folder(write(tmp_path, plans=inherit)).channels == 4


def test_region_based_training_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, dataset=lambda dataset: dataset.update(regions_class_order=[1, 2]))
    assert "dataset.json: found regions_class_order" in refusal(folder)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    (folder / name).unlink()
    assert f"{name}: cannot be read (No such file or directory); --checkpoint takes" in refusal(folder)


def test_a_network_with_other_channels_than_the_algorithm_is_refused(
    golden_checkpoint: Path, tmp_path: Path
) -> None:
    trained = read_trained_folder(golden_checkpoint)
    with pytest.raises(
        ModelError, match=r"the network takes 4 channels, expected 3 \(CT, PET, tumor clicks\)"
    ):
        export_trained_folder(trained, tmp_path, added_channels=CLICKS[:1])
