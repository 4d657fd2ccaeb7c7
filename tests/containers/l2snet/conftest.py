import shutil
from pathlib import Path

import pytest
import torch

from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.model.model import Model
from common.model.writing import write_model
from containers.l2snet.export import export, export_localisation, export_segmentation, read_plans
from tests.support import golden_data


@pytest.fixture(scope="session")
def l2snet_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden networks as a folder that L2SNet's trainings left; not to be changed."""
    folder = tmp_path_factory.mktemp("l2snet") / "checkpoint"
    fold = folder / "fold_0"
    fold.mkdir(parents=True)
    shutil.copy(golden_data.GOLDEN / "nnunet_v1/model/plans.pkl", folder)
    segmentation = golden_data.weights("nnunet_v1/layout.json", "fold_0/")
    torch.save({"epoch": 1000, "state_dict": segmentation}, fold / CHECKPOINT_FILE)
    (fold / f"{CHECKPOINT_FILE}.pkl").write_bytes(b"not read")
    torch.save(golden_data.weights("l2snet/unet2d.layout.json", "unet2d/"), fold / "epoch_030.pth")
    return folder


@pytest.fixture(scope="session")
def l2snet_model(l2snet_checkpoint: Path) -> Path:
    """The model folder exported from `l2snet_checkpoint`; not to be changed."""
    folder = l2snet_checkpoint.parent / "model"
    export(l2snet_checkpoint, folder)
    return folder


@pytest.fixture(scope="session")
def light_model(l2snet_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden 3D network with a 2D network of one layer, which marks high uptake; not to be changed."""
    folder = tmp_path_factory.mktemp("light")
    plans, network_plan = read_plans(l2snet_checkpoint / "plans.pkl")
    checkpoint = l2snet_checkpoint / "fold_0" / CHECKPOINT_FILE
    networks = (
        export_localisation(folder, MarksUptake()),
        export_segmentation(folder, plans, network_plan, {"0": checkpoint}),
    )
    write_model(folder, Model("l2snet", networks, "", {"keep_largest": None}))
    return folder


class MarksUptake(torch.nn.Module):
    """Likelier lesions than not above an SUV of 3.5."""

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        middle = 20 * (tiles[:, 2:3] + 0.8)
        return torch.cat([-middle, middle], dim=1)
