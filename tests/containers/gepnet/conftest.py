from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from common.demo.checkpoints import save_nnunet_v1
from common.demo.plans_v1 import make_plans, write_plans
from common.demo.training import seeded
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from containers.gepnet.export import export
from containers.gepnet.export.network import GEPNet

SHAPE = (32, 32, 32)


def write_checkpoint(folder: Path, modalities: Sequence[str], folds: int) -> Path:
    """A folder as the training leaves it, untrained."""
    plans = make_plans(
        modalities,
        [torch.arange(100.0).numpy()] * len(modalities),
        patch=SHAPE,
        spacing=(4.0, 4.0, 4.0),
        median_shape=(60, 60, 60),
        base_features=32,
        poolings=5,
        batch=2,
        scheme="nonCT",
    )
    write_plans(plans, folder)
    for fold in range(folds):
        untrained = seeded(lambda: GEPNet(SHAPE, len(modalities)), fold)
        path = folder / f"fold_{fold}" / CHECKPOINT_FILE
        save_nnunet_v1(untrained, path, plans=plans, trainer="gepnet_trainer_PET", epochs=1)
    return folder


@pytest.fixture(scope="session")
def pet_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds for PET; not to be changed."""
    return write_checkpoint(tmp_path_factory.mktemp("gepnet_pet"), ["PET"], folds=2)


@pytest.fixture(scope="session")
def pet_model(pet_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder exported from `pet_checkpoint`; not to be changed."""
    folder = tmp_path_factory.mktemp("gepnet_pet") / "model"
    export(pet_checkpoint, folder)
    return folder


@pytest.fixture(scope="session")
def pet_ct_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of one fold for PET and CT; not to be changed."""
    folder = tmp_path_factory.mktemp("gepnet_pet_ct")
    export(write_checkpoint(folder / "checkpoint", ["PET", "CT"], folds=1), folder / "model")
    return folder / "model"
