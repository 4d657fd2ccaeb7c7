import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.export.checkpoint_v1 import CHECKPOINT_FILE
from common.model_folder import read_model
from common.nnunet.postprocessing_v1 import KeepLargest, Postprocessing
from common.nnunet.safe_pickle import load
from containers.gepnet.network import export

FIRST_FOLD = f"fold_0/{CHECKPOINT_FILE}"


@pytest.fixture
def checkpoint(pet_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(pet_checkpoint, tmp_path / "checkpoint")


def test_the_model_folder_holds_all_folds(pet_model: Path) -> None:
    (network,) = read_model(pet_model, "gepnet").networks
    assert [fold.name for fold in network.folds] == ["0", "1"]
    assert network.channels == ("PET",)
    assert network.mirror_axes == (0, 1, 2)
    assert network.nnunet_plans.generation == 1
    assert network.patch == (32, 32, 32)


def test_the_measured_parity_is_far_below_the_limit(pet_model: Path) -> None:
    (network,) = read_model(pet_model, "gepnet").networks
    for fold in network.folds:
        assert fold.parity.spread > 0
        assert fold.parity.max_difference < 1e-4 * fold.parity.spread


def test_two_modalities_are_pet_then_ct(pet_ct_model: Path) -> None:
    (network,) = read_model(pet_ct_model, "gepnet").networks
    assert network.channels == ("PET", "CT")
    assert [channel.name for channel in network.nnunet_plans.channels] == ["PET", "CT"]


def test_postprocessing_is_taken_over(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "postprocessing.json").write_text('{"for_which_classes": [1]}')
    export(checkpoint, tmp_path / "model", folds=["1"])
    model = read_model(tmp_path / "model", "gepnet")
    assert model.settings_as(Postprocessing) == Postprocessing(KeepLargest())
    assert [fold.name for fold in model.networks[0].folds] == ["1"]


def change_plans(folder: Path, **entries: object) -> None:
    document = load(folder / "plans.pkl")
    assert isinstance(document, dict)
    (folder / "plans.pkl").write_bytes(pickle.dumps(document | entries))


def change_patch(folder: Path, patch: tuple[int, int, int]) -> None:
    document = load(folder / "plans.pkl")
    assert isinstance(document, dict)
    document["plans_per_stage"][0]["patch_size"] = np.array(patch)
    (folder / "plans.pkl").write_bytes(pickle.dumps(document))


def add_modalities(folder: Path, count: int) -> None:
    change_plans(
        folder,
        num_modalities=count,
        modalities=dict.fromkeys(range(count), "PET"),
        normalization_schemes=dict.fromkeys(range(count), "nonCT"),
        use_mask_for_norm=dict.fromkeys(range(count), False),
    )


def another_network(folder: Path) -> None:
    torch.save({"state_dict": {"encoder.weight": torch.ones(2)}}, folder / FIRST_FOLD)


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (
            lambda folder: change_patch(folder, (64, 32, 32)),
            r"trained on tiles of \(32, 32, 32\) voxels, plans.pkl says \(64, 32, 32\)",
        ),
        (lambda folder: change_patch(folder, (32, 32, 40)), "expected multiples of 32"),
        (lambda folder: add_modalities(folder, 2), r"weights do not fit .* of another shape: init.0.weight"),
        (lambda folder: add_modalities(folder, 3), r"found 3 modalities, expected 1 \(PET\) or 2"),
        (lambda folder: shutil.rmtree(folder / "fold_0"), "found no fold_0/model_final"),
        (another_network, "weights do not fit GEPNet"),
        (lambda folder: (folder / "plans.pkl").unlink(), "plans.pkl"),
    ],
)
def test_a_foreign_checkpoint_is_refused_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, breakage: Callable[[Path], object], message: str
) -> None:
    breakage(checkpoint)
    with pytest.raises(ModelError, match=message):
        export(checkpoint, tmp_path / "model", folds=["0"])
    assert not list((tmp_path / "model").glob("*"))
