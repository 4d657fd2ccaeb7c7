from pathlib import Path

import numpy as np

from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.unet import load_unet
from containers.l2snet.demo import train
from containers.l2snet.export import read_plans
from containers.l2snet.export.res2net_unet import load_localiser


def test_training_leaves_a_folder_as_the_originals_do(tmp_path: Path) -> None:
    train.train_checkpoint(tmp_path, steps_2d=2, steps_3d=2, subjects=1)
    plans, network_plan = read_plans(tmp_path / "plans.pkl")
    assert [channel.name for channel in plans.channels] == ["PET", "CT"]
    fold = tmp_path / "fold_0"
    for network in load_unet(network_plan, fold / CHECKPOINT_FILE), load_localiser(fold / "epoch_002.pth"):
        assert all(np.isfinite(tensor.numpy()).all() for tensor in network.state_dict().values())
