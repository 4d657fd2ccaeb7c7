import logging
import pickle
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import find_plans
from common.model.reading import read_model
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.postprocess import KeepLargest, Postprocessing
from containers.gepnet.export import export
from containers.gepnet.export.checkpoint import read_plans

REPOSITORY = Path(__file__).parents[4]
ECPC_IDS = REPOSITORY / "containers/gepnet/plans/ecpc_ids.json"
FIRST_FOLD, SECOND_FOLD = (f"fold_{fold}/{CHECKPOINT_FILE}" for fold in range(2))


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
        assert fold.parity.standard_deviation > 0
        assert fold.parity.relative_rms_difference is not None
        assert fold.parity.relative_rms_difference < 1e-4


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


def test_without_plans_pkl_the_companion_gives_the_plans(checkpoint: Path) -> None:
    expected = read_plans(checkpoint / "plans.pkl")
    (checkpoint / "plans.pkl").unlink()
    path = find_plans(checkpoint, checkpoint / FIRST_FOLD)
    assert path == checkpoint / f"{FIRST_FOLD}.pkl"
    assert read_plans(path) == expected


def test_the_companion_is_that_of_the_first_fold_chosen(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "plans.pkl").unlink()
    (checkpoint / f"{SECOND_FOLD}.pkl").write_bytes(b"cos\nsystem\n.")
    with pytest.raises(ModelError, match=rf"{SECOND_FOLD}\.pkl: the pickle holds the name os\.system"):
        export(checkpoint, tmp_path / "model", folds=["1", "0"])
    assert not (tmp_path / "model").exists()


def test_given_plans_win_over_those_in_the_folder(checkpoint: Path, tmp_path: Path) -> None:
    plans = tmp_path / "broken.json"
    plans.write_text("{}")
    with pytest.raises(ModelError, match=r"broken\.json: plans\.about is missing"):
        export(checkpoint, tmp_path / "model", plans=plans)


def test_the_plans_of_the_published_weights_are_what_the_original_code_gives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        plans = read_plans(ECPC_IDS)
    assert plans == Plans(
        generation=1,
        patch=(128, 128, 128),
        spacing=(1.0, 1.0, 1.0),
        transpose_forward=(0, 1, 2),
        channels=(ChannelSpec("PET", "z_score"),),
        resample_data=Resampling(order=3),
        resample_prediction=Resampling(order=1),
    )
    assert [record.message.split()[1] for record in caplog.records] == [
        "plans.modalities[0].normalization_scheme",
        "plans.modalities[0].use_mask_for_norm",
    ]


def test_the_package_ships_the_plans_of_the_published_weights() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    package = REPOSITORY / "containers/gepnet"
    assert ECPC_IDS in [path for pattern in patterns for path in package.glob(pattern)]


def change_plans(folder: Path, **entries: object) -> None:
    document = pickle.loads((folder / "plans.pkl").read_bytes())  # noqa: S301
    (folder / "plans.pkl").write_bytes(pickle.dumps(document | entries))


def change_patch(folder: Path, patch: tuple[int, int, int]) -> None:
    document = pickle.loads((folder / "plans.pkl").read_bytes())  # noqa: S301
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
            r"trained on tiles of \(32, 32, 32\) voxels, the plans say \(64, 32, 32\)",
        ),
        (lambda folder: change_patch(folder, (32, 32, 40)), "expected multiples of 32"),
        (lambda folder: add_modalities(folder, 2), r"weights do not fit .* of another shape: init.0.weight"),
        (lambda folder: add_modalities(folder, 3), r"found 3 modalities, expected 1 \(PET\) or 2"),
        (lambda folder: shutil.rmtree(folder / "fold_0"), "found no fold_0/model_final"),
        (another_network, "weights do not fit GEPNet"),
        (
            lambda folder: [path.unlink() for path in folder.rglob("*.pkl")],
            rf"found neither plans.pkl nor {FIRST_FOLD}.pkl; .*, or give .* --plans FILE",
        ),
    ],
)
def test_a_foreign_checkpoint_is_refused_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, breakage: Callable[[Path], object], message: str
) -> None:
    breakage(checkpoint)
    with pytest.raises(ModelError, match=message):
        export(checkpoint, tmp_path / "model", folds=["0"])
    assert not list((tmp_path / "model").glob("*"))
