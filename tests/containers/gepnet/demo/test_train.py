from pathlib import Path

import numpy as np

from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from containers.gepnet.demo import train
from containers.gepnet.export.checkpoint import load_network, read_plans


def test_training_leaves_a_folder_as_the_originals_does(tmp_path: Path) -> None:
    train.train_checkpoint(tmp_path, [train.Phase(seed, 1, 1, 1e-3) for seed in (1, 2)])
    plans = read_plans(tmp_path / "plans.pkl")
    assert [channel.name for channel in plans.channels] == ["PET"]
    network = load_network(plans, tmp_path / "fold_0" / CHECKPOINT_FILE)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in network.state_dict().values())
    assert (tmp_path / "fold_0" / f"{CHECKPOINT_FILE}.pkl").is_file()
