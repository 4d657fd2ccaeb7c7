from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.export.checkpoints.v2.trained_folder import read_trained_folder
from containers.autopet_interactive.demo import train


def test_training_leaves_a_folder_as_nnunet_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "GRIDS", (((120, 48, 64), (8.0, 8.0, 8.0)),))
    monkeypatch.setattr(train, "DESIGN", replace(train.DESIGN, batch=1))
    train.train_checkpoint(tmp_path, steps=22, subjects=2)
    trained = read_trained_folder(tmp_path, None)
    assert trained.image_channels == ("CT", "PET")
    assert trained.classes == 2
    checkpoint = torch.load(tmp_path / "fold_0" / "checkpoint_final.pth", weights_only=True)
    assert checkpoint["current_epoch"] == 22
    assert all(tensor.isfinite().all() for tensor in checkpoint["network_weights"].values())
