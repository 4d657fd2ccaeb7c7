"""The golden cases' checkpoints, as the original trainings would have left them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.golden import synth

GOLDEN = Path(__file__).parent / "golden"


def write_autopet_checkpoint(folder: Path) -> Path:
    """Write `autopet_interactive`'s folds, with all that nnU-Net v2 puts beside the weights."""
    source = GOLDEN / "autopet_interactive"
    case, layout = (json.loads((source / name).read_text()) for name in ("case.json", "layout.json"))
    plans, dataset = (source / "model" / name for name in ("plans.json", "dataset.json"))
    for fold in range(case["folds"]):
        weights = {name: synth.tensor(f"fold_{fold}/{name}", shape) for name, shape in layout.items()}
        checkpoint = nnunet_checkpoint(
            {name: torch.from_numpy(array) for name, array in weights.items()},
            plans=json.loads(plans.read_text()),
            dataset=json.loads(dataset.read_text()),
            fold=fold,
            mirror_axes=tuple(case["mirror_axes"]),
        )
        (folder / f"fold_{fold}").mkdir(parents=True)
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    shutil.copy(plans, folder)
    shutil.copy(dataset, folder)
    return folder


def nnunet_checkpoint(
    weights: dict[str, torch.Tensor],
    *,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    fold: int = 0,
    mirror_axes: tuple[int, ...] | None = (0, 1, 2),
) -> dict[str, Any]:
    """What `nnUNetTrainer.save_checkpoint` saves, NumPy numbers and a device included."""
    return {
        "network_weights": weights,
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
            "plans": plans,
            "configuration": "3d_fullres",
            "fold": fold,
            "dataset_json": dataset,
            "unpack_dataset": True,
            "device": torch.device("cuda", 0),
        },
        "trainer_name": "autopetTrainerInteractive",
        "inference_allowed_mirroring_axes": mirror_axes,
    }
