import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ModelError
from common.export.checkpoints.safe_pickle import load
from common.export.checkpoints.v1.plans import (
    PLANS_FILE,
    NetworkPlan,
    find_plans,
    read_network_plan,
    read_plans_v1,
)
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Statistics
from tests.support import golden_data
from tests.support.json_plans import json_plans

GOLDEN = golden_data.GOLDEN / "nnunet_v1" / "model" / PLANS_FILE

Edit = Callable[[dict[str, Any]], Any]


def gepnet_plans() -> dict[str, Any]:
    """What nnFormer's planner writes for a dataset of PET images with two stages."""
    stage = {
        "batch_size": np.int64(2),
        "current_spacing": np.array([2.0, 2.0, 2.0]),
        "patch_size": np.array([64, 64, 64]),
        "pool_op_kernel_sizes": [[2, 2, 2], [2, 2, 2]],
        "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3], [3, 3, 3]],
        "do_dummy_2D_data_aug": np.False_,
    }
    properties = {"mean": np.float32(7), "sd": 8.0, "percentile_00_5": 1.0, "percentile_99_5": 51.5}
    return {
        "num_stages": 2,
        "num_modalities": 1,
        "modalities": {0: "PET"},
        "normalization_schemes": OrderedDict([(0, "nonCT")]),
        "use_mask_for_norm": OrderedDict([(0, True)]),
        "dataset_properties": {
            "intensityproperties": OrderedDict([(0, properties)]),
            "all_sizes": [(9, 9, 9)],
        },
        "num_classes": 2,
        "base_num_features": 30,
        "transpose_forward": [0, 2, 1],
        "plans_per_stage": {0: stage, 1: {**stage, "current_spacing": np.array([1.0, 1.0, 1.0])}},
        "preprocessor_name": "GenericPreprocessor",
    }


@pytest.fixture
def file(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(document: dict[str, Any]) -> Path:
        path = tmp_path / PLANS_FILE
        path.write_bytes(pickle.dumps(document))
        return path

    return write


def test_plans_of_nnunet_are_read() -> None:
    ct = Statistics(mean=107.7767, std=286.1726, percentile_00_5=-831.948, percentile_99_5=1127.5189)
    assert read_plans_v1(GOLDEN) == Plans(
        generation=1,
        patch=(32, 48, 48),
        spacing=(3.0, 2.0364201068878174, 2.0364201068878174),
        transpose_forward=(0, 1, 2),
        channels=(ChannelSpec("PET", "z_score"), ChannelSpec("CT", "ct", statistics=ct)),
        resample_data=Resampling(order=3, order_z=0),
        resample_prediction=Resampling(order=1, order_z=0),
    )


def test_the_network_of_nnunet_is_read() -> None:
    assert read_network_plan(GOLDEN) == NetworkPlan(
        inputs=2,
        classes=2,
        base_features=8,
        convolutions=2,
        strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)),
        kernels=((3, 3, 3),) * 4,
    )


def test_plans_of_gepnet_are_read_at_full_resolution(file: Callable[[dict[str, Any]], Path]) -> None:
    plans = read_plans_v1(file(gepnet_plans()))
    assert plans.spacing == (1.0, 1.0, 1.0)
    assert plans.patch == (64, 64, 64)
    assert plans.transpose_forward == (0, 2, 1)
    assert plans.channels == (ChannelSpec("PET", "z_score", use_mask=True),)
    assert read_network_plan(file(gepnet_plans())).classes == 3


def test_settings_that_old_plans_lack_have_defaults(file: Callable[[dict[str, Any]], Path]) -> None:
    document = gepnet_plans()
    del document["preprocessor_name"]
    document["transpose_forward"] = None
    plans = read_plans_v1(file(document))
    assert plans.transpose_forward == (0, 1, 2)
    assert read_network_plan(file(document)).convolutions == 2


def test_the_plans_may_say_how_to_resample_the_prediction(file: Callable[[dict[str, Any]], Path]) -> None:
    export = {"force_separate_z": False, "interpolation_order": 0, "interpolation_order_z": 1}
    plans = read_plans_v1(file(gepnet_plans() | {"segmentation_export_params": export}))
    assert plans.resample_prediction == Resampling(order=0, order_z=1, force_separate_z=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plans: plans["normalization_schemes"].update({0: "MRI"}), "'MRI', supported are"),
        (lambda plans: plans.update(preprocessor_name="PreprocessorFor2D"), "'PreprocessorFor2D'"),
        (lambda plans: plans["plans_per_stage"][1].update(patch_size=[64, 64]), r"patch_size \[64, 64\]"),
        (lambda plans: plans["plans_per_stage"][1].update(current_spacing=[0, 1, 1]), "current_spacing"),
        (lambda plans: plans.update(transpose_forward=[0, 0, 1]), r"transpose_forward \(0, 0, 1\)"),
        (lambda plans: plans.pop("plans_per_stage"), "entry: plans_per_stage is missing"),
        (lambda plans: plans.update(plans_per_stage={}), "malformed entry"),
        (lambda plans: plans.pop("use_mask_for_norm"), "entry: use_mask_for_norm is missing"),
        (lambda plans: plans.update(num_modalities=2), "entry 1"),
        (lambda plans: plans.update(num_modalities="two"), "malformed entry: .*two"),
        (lambda plans: plans["plans_per_stage"][1].update(current_spacing=None), "malformed entry"),
    ],
)
def test_plans_that_cannot_be_followed_are_refused_by_entry(
    file: Callable[[dict[str, Any]], Path], edit: Edit, message: str
) -> None:
    document = gepnet_plans()
    edit(document)
    with pytest.raises(ModelError, match=rf"plans\.pkl: .*{message}") as caught:
        read_plans_v1(file(document))
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_network_with_a_kernel_too_few_is_refused(file: Callable[[dict[str, Any]], Path]) -> None:
    document = gepnet_plans()
    document["plans_per_stage"][1]["conv_kernel_sizes"] = [[3, 3, 3]] * 2
    with pytest.raises(ModelError, match="found 2 conv_kernel_sizes and 2 pool_op_kernel_sizes"):
        read_network_plan(file(document))


@pytest.mark.parametrize("document", [None, 7, [], "plans", {"plans_per_stage": 3}])
def test_a_pickle_of_something_else_is_refused(
    file: Callable[[dict[str, Any]], Path], document: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match="expected the plans that nnU-Net v1 wrote"):
        read_plans_v1(file(document))


COMPANION = "fold_1/model_final_checkpoint.model.pkl"


@pytest.fixture
def companion(tmp_path: Path) -> Path:
    """The plans in a checkpoint's companion alone, as the trainers of nnU-Net v1 and nnFormer write it."""
    path = tmp_path / COMPANION
    path.parent.mkdir()
    trainer = "<class 'gepnet.training.network_training.gepnet_trainer_PET.gepnet_trainer_PET'>"
    document = OrderedDict(
        init=("plans.pkl", 1, str(tmp_path), None, True, 0, True, False, True),
        name="gepnet_trainer_PET",
        plans=gepnet_plans(),
    )
    document["class"] = trainer
    path.write_bytes(pickle.dumps(document))
    return path


def find(folder: Path) -> Path:
    return find_plans(folder, folder / "fold_1/model_final_checkpoint.model")


def test_the_plans_file_comes_before_the_companion(tmp_path: Path, companion: Path) -> None:
    (tmp_path / PLANS_FILE).touch()
    assert companion.exists()
    assert find(tmp_path) == tmp_path / PLANS_FILE


def test_the_companion_holds_the_same_plans(
    tmp_path: Path, companion: Path, file: Callable[[dict[str, Any]], Path]
) -> None:
    assert find(tmp_path) == companion
    path = file(gepnet_plans())
    assert read_plans_v1(companion) == read_plans_v1(path)
    assert read_network_plan(companion) == read_network_plan(path)


def test_a_folder_without_plans_is_refused_with_what_may_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: found neither plans.pkl nor {COMPANION}; copy one of them from the training"
    )


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("hostile",)


def test_a_hostile_companion_is_refused_and_not_run(
    companion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    companion.write_bytes(pickle.dumps({"plans": gepnet_plans(), "init": Hostile()}))
    with pytest.raises(ModelError, match=r"checkpoint\.model\.pkl: the pickle holds the name .*mkdir"):
        read_plans_v1(companion)
    assert not (tmp_path / "hostile").exists()


@pytest.mark.parametrize("document", [{"init": (), "name": "trainer"}, {"plans": 3}, [], gepnet_plans()])
def test_a_companion_without_plans_is_refused(companion: Path, document: object) -> None:
    companion.write_bytes(pickle.dumps(document))
    with pytest.raises(ModelError, match=r"model\.pkl: missing or malformed entry"):
        read_plans_v1(companion)


def test_plans_in_json_are_those_of_the_pickle(
    tmp_path: Path, file: Callable[[dict[str, Any]], Path]
) -> None:
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(json_plans(gepnet_plans())))
    assert read_plans_v1(path) == read_plans_v1(file(gepnet_plans()))


def test_plans_of_ct_in_json_are_those_of_the_pickle(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(json_plans(load(GOLDEN))))
    assert read_plans_v1(path) == read_plans_v1(GOLDEN)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("patch_size", [0, 32, 32], r"patch_size \[0, 32, 32\], expected three sizes"),
        ("current_spacing", [1, -1, 1], "current_spacing .* expected three lengths in mm"),
        ("transpose_forward", [0, 1, 1], r"transpose_forward \(0, 1, 1\), expected a permutation"),
    ],
)
def test_values_in_json_are_checked_as_those_of_the_pickle(
    tmp_path: Path, entry: str, value: list[float], message: str
) -> None:
    document = json_plans(gepnet_plans())
    document[entry]["value"] = value
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=rf"plans\.json: .*{message}"):
        read_plans_v1(path)


def test_a_scheme_in_json_is_checked_as_that_of_the_pickle(tmp_path: Path) -> None:
    document = json_plans(gepnet_plans())
    document["modalities"][0]["normalization_scheme"]["value"] = "MRI"
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"plans\.json: found normalization scheme 'MRI', supported are"):
        read_plans_v1(path)
