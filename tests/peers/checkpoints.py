"""Checkpoints with random weights, once for this project and once for nnU-Net itself.

nnU-Net knows no clicks, so its folder declares the algorithm's click channels as two more images.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from tests.support.golden_cases import write_trained_folder

CONFIGURATION = "3d_fullres"


def write_pair(
    folder: Path, plans: dict[str, Any], dataset: dict[str, Any], *, folds: int, mirror_axes: tuple[int, ...]
) -> tuple[Path, Path]:
    """Write the algorithm's folder and nnU-Net's, with the same weights."""
    architecture = plans["configurations"][CONFIGURATION]["architecture"]
    checkpoints = {
        str(seed): {
            "network_weights": random_network(architecture, seed).state_dict(),
            "init_args": {"configuration": CONFIGURATION},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": mirror_axes or None,
        }
        for seed in range(folds)
    }
    return (
        write_trained_folder(folder / "algorithm", plans, dataset, checkpoints),
        write_trained_folder(folder / "nnunet", *_with_click_images(plans, dataset), checkpoints),
    )


def random_network(architecture: dict[str, Any], seed: int) -> ResidualEncoderUNet:
    """A network of that architecture for four input channels and two classes."""
    torch.manual_seed(seed)
    arguments = architecture["arch_kwargs"] | {
        "conv_op": torch.nn.Conv3d,
        "norm_op": torch.nn.InstanceNorm3d,
        "nonlin": torch.nn.LeakyReLU,
    }
    return ResidualEncoderUNet(input_channels=4, num_classes=2, deep_supervision=False, **arguments)


def _with_click_images(
    plans: dict[str, Any], dataset: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    plans, dataset = copy.deepcopy((plans, dataset))
    configuration = plans["configurations"][CONFIGURATION]
    configuration["normalization_schemes"] += ["NoNormalization"] * 2
    configuration["use_mask_for_norm"] += [False] * 2
    statistics = plans["foreground_intensity_properties_per_channel"]
    statistics |= {"2": statistics["0"], "3": statistics["0"]}
    dataset["channel_names"] |= {"2": "tumor clicks", "3": "background clicks"}
    return plans, dataset
