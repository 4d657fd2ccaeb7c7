import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import find_plans
from common.model.reading import read_model
from containers.l2snet.export import export, read_plans


@pytest.fixture
def checkpoint(l2snet_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may break; the checkpoints are links, to be replaced rather than changed."""
    return shutil.copytree(l2snet_checkpoint, tmp_path / "checkpoint", copy_function=copy_or_link)


def copy_or_link(source: str, target: str) -> None:
    if source.endswith("plans.pkl"):
        shutil.copy(source, target)
    else:
        Path(target).symlink_to(source)


def test_the_model_folder_holds_both_networks(l2snet_model: Path) -> None:
    model = read_model(l2snet_model, "l2snet")
    localisation, segmentation = model.network("localisation"), model.network("segmentation")
    assert localisation.channels == tuple(f"PET slice {offset}" for offset in ("-2", "-1", "+0", "+1", "+2"))
    assert (localisation.patch, localisation.classes, localisation.mirror_axes) == ((320, 384), 2, ())
    assert localisation.plans is None
    assert segmentation.channels == ("PET", "CT")
    assert (segmentation.patch, segmentation.classes) == ((32, 48, 48), 2)
    assert segmentation.mirror_axes == (0, 1, 2)
    assert segmentation.nnunet_plans.generation == 1
    assert model.settings == {"keep_largest": None}


def test_the_measured_parity_is_far_below_the_limit(l2snet_model: Path) -> None:
    for network in read_model(l2snet_model, "l2snet").networks:
        (fold,) = network.folds
        assert fold.parity.relative_rms_difference is not None
        assert fold.parity.relative_rms_difference < 1e-4
        assert fold.parity.changed_voxels == 0


def test_without_plans_pkl_the_companion_gives_the_plans(checkpoint: Path) -> None:
    plans, companion = checkpoint / "plans.pkl", checkpoint / "fold_0" / f"{CHECKPOINT_FILE}.pkl"
    companion.unlink()
    companion.write_bytes(pickle.dumps({"init": (), "name": "nnUNetTrainerV2", "plans": read(plans)}))
    expected = read_plans(plans)
    plans.unlink()
    assert find_plans(checkpoint, checkpoint / "fold_0" / CHECKPOINT_FILE) == companion
    assert read_plans(companion) == expected


def test_without_plans_pkl_a_broken_companion_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "plans.pkl").unlink()
    with pytest.raises(ModelError, match=r"model_final_checkpoint\.model\.pkl: "):
        export(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301


def change_plans(folder: Path, **entries: object) -> None:
    path = folder / "plans.pkl"
    path.write_bytes(pickle.dumps(read(path) | entries))


ONE_MODALITY = {
    "num_modalities": 1,
    "modalities": {0: "PET"},
    "normalization_schemes": {0: "nonCT"},
    "use_mask_for_norm": {0: False},
}


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        pytest.param(
            lambda folder: change_plans(folder, **ONE_MODALITY),
            r"plans.pkl: found 1 modalities and 2 classes, expected 2 \(PET, CT\) and 2",
            id="one modality",
        ),
        pytest.param(
            lambda folder: change_plans(folder, num_classes=3),
            "plans.pkl: found 2 modalities and 4 classes",
            id="more classes",
        ),
        pytest.param(
            lambda folder: [path.unlink() for path in folder.rglob("*.pkl")],
            "found neither plans.pkl nor fold_0/model_final_checkpoint.model.pkl; copy one of them from",
            id="no plans",
        ),
        pytest.param(
            lambda folder: (folder / "fold_0/epoch_030.pth").unlink(),
            r"fold_0: found no epoch_\*\.pth, expected the 2D network's checkpoint",
            id="no 2D checkpoint",
        ),
        pytest.param(
            lambda folder: (folder / "fold_0" / CHECKPOINT_FILE).unlink(),
            r"found no fold_\*/model_final_checkpoint.model",
            id="no 3D checkpoint",
        ),
        pytest.param(
            lambda folder: (folder / "postprocessing.json").write_text("{"),
            "postprocessing.json: ",
            id="broken postprocessing",
        ),
    ],
)
def test_an_incomplete_or_foreign_checkpoint_is_refused_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, breakage: Callable[[Path], object], message: str
) -> None:
    breakage(checkpoint)
    with pytest.raises(ModelError, match=message):
        export(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_last_epoch_of_the_2d_network_is_taken(checkpoint: Path, tmp_path: Path) -> None:
    torch.save({}, checkpoint / "fold_0/epoch_100.pth")
    torch.save({}, checkpoint / "fold_0/epoch_best.pth")
    with pytest.raises(ModelError, match=r"epoch_100\.pth: the weights do not fit"):
        export(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model/model.json").exists()
