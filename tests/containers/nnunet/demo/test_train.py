from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.demo.phantom import phantom
from common.export.checkpoints.v2.trained_folder import read_trained_folder
from containers.nnunet.demo import subjects, train


def test_training_leaves_a_folder_as_nnunet_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = subjects.labelled_phantoms
    monkeypatch.setattr(train, "DESIGN", replace(train.DESIGN, batch=1))
    monkeypatch.setattr(
        train, "labelled_phantoms", lambda seed, count: small(seed, count, (120, 48, 64), (8.0, 8.0, 8.0))
    )
    train.train_checkpoint(tmp_path, steps=5, subjects=2)
    trained = read_trained_folder(tmp_path, None)
    assert trained.image_channels == ("CT", "PET")
    assert trained.labels == ("lesion", "physiological uptake")
    checkpoint = torch.load(tmp_path / "fold_0" / "checkpoint_final.pth", weights_only=True)
    assert checkpoint["current_epoch"] == 5
    assert all(tensor.isfinite().all() for tensor in checkpoint["network_weights"].values())


def test_labels_are_lesions_and_hot_organs() -> None:
    (labelled,) = subjects.labelled_phantoms(3, 1, (120, 48, 64), (8.0, 8.0, 8.0))
    ill = phantom.make_phantom(3, (120, 48, 64), (8.0, 8.0, 8.0), lesions=8, inflammations=0)
    assert ((labelled.labels == 1) == (ill.truth > 0)).all()
    assert labelled.phantom.pet[labelled.labels == 2].mean() > 4
