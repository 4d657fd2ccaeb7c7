"""The golden autoPET-interactive case as a folder that nnU-Net v2 trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support.golden_data import document, weights

CASE = "autopet_interactive"


def write_autopet_checkpoint(folder: Path) -> Path:
    """Write all folds of the golden case."""
    folds = {str(fold): autopet_checkpoint(fold) for fold in range(document(f"{CASE}/case.json")["folds"])}
    return write_trained_folder(folder, autopet_plans(), autopet_dataset(), folds)


def write_trained_folder(folder: Path, plans: Any, dataset: Any, folds: Mapping[str, Any]) -> Path:
    """Write plans, data set and checkpoints where nnU-Net v2 leaves them."""
    for name, checkpoint in folds.items():
        (folder / f"fold_{name}").mkdir(parents=True)
        torch.save(checkpoint, folder / f"fold_{name}" / "checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def autopet_plans() -> Any:
    """The golden case's plans."""
    return document(f"{CASE}/model/plans.json")


def autopet_dataset() -> Any:
    """The golden case's data set description."""
    return document(f"{CASE}/model/dataset.json")


def autopet_checkpoint(fold: int) -> dict[str, Any]:
    """What `nnUNetTrainer.save_checkpoint` saves, its NumPy numbers and its device included."""
    return {
        "network_weights": weights(f"{CASE}/layout.json", f"fold_{fold}/"),
        "optimizer_state": {
            "state": {0: {"momentum_buffer": torch.zeros(3)}},
            "param_groups": [{"lr": 1e-5, "momentum": 0.99, "nesterov": True, "params": [0]}],
        },
        "grad_scaler_state": {"scale": 65536.0, "growth_tracker": 7},
        "logging": {
            "mean_fg_dice": [np.float64(0.5)],
            "dice_per_class_or_region": [[np.float32(0.5)]],
            "train_losses": [np.float32(-0.25)],
            "lrs": [0.01],
        },
        "_best_ema": np.float64(0.5),
        "current_epoch": 1,
        "init_args": {
            "plans": autopet_plans(),
            "configuration": "3d_fullres",
            "fold": fold,
            "dataset_json": autopet_dataset(),
            "unpack_dataset": True,
            "device": torch.device("cuda", 0),
        },
        "trainer_name": "autopetTrainerInteractive",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
