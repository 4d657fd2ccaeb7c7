"""Checkpoint files of the demo networks in the formats of nnU-Net v1 and v2."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

Weights = Mapping[str, torch.Tensor]


def save_nnunet_v2(
    network: nn.Module,
    path: Path,
    *,
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    configuration: str,
    trainer: str,
    mirror_axes: Sequence[int],
    epochs: int,
) -> None:
    """Write a checkpoint of nnU-Net v2's trainer, without the optimizer's state.

    Source: `save_checkpoint` in nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py.
    """
    checkpoint = {
        "network_weights": network.state_dict(),
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": {},
        "_best_ema": None,
        "current_epoch": epochs,
        "init_args": {
            "plans": dict(plans),
            "configuration": configuration,
            "fold": 0,
            "dataset_json": dict(dataset),
        },
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": tuple(mirror_axes) or None,
    }
    _save(checkpoint, path)


def save_nnunet_v1(
    network: nn.Module,
    path: Path,
    *,
    plans: Mapping[str, Any],
    trainer: str,
    epochs: int,
    compacted: bool = True,
) -> None:
    """Write a checkpoint of nnU-Net v1's trainer and its `.pkl` file, without the optimizer's state.

    With `compacted`, the weights are stored by `compact`, in float16, unlike the trainer's.
    Source: `save_checkpoint` in nnunet/training/network_training/network_trainer.py and nnUNetTrainer.py.
    """
    checkpoint = {
        "epoch": epochs,
        "state_dict": compact(network.state_dict()) if compacted else network.state_dict(),
        "optimizer_state_dict": None,
        "lr_scheduler_state_dict": None,
        "plot_stuff": None,
        "best_stuff": None,
    }
    _save(checkpoint, path)
    companion = {"init": ("plans.pkl", 0), "name": trainer, "class": trainer, "plans": dict(plans)}
    path.with_name(f"{path.name}.pkl").write_bytes(pickle.dumps(companion))


def save_weights(weights: Weights, path: Path) -> None:
    """Write a file that holds only a state dict, stored by `compact`."""
    _save(compact(weights), path)


def compact(weights: Weights) -> dict[str, torch.Tensor]:
    """Convert weights to float16, and tensors of zeros to one expanded zero, which takes no space."""
    return {name: _compact(tensor) for name, tensor in weights.items()}


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.any():
        return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
    return tensor.half() if tensor.is_floating_point() else tensor


def _save(checkpoint: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)
