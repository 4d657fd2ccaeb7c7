"""Checkpoints of nnU-Net v2 with random weights, once for this project and once for nnU-Net itself.

nnU-Net knows no clicks, so its folder declares the algorithm's click channels as two more images.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.demo.checkpoints import save_nnunet_v2
from common.demo.plans_v2 import CONFIGURATION, write_json
from common.demo.training import seeded
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.plans import read_configuration


def write_pair(
    folder: Path, plans: dict[str, Any], dataset: dict[str, Any], *, folds: int, mirror_axes: tuple[int, ...]
) -> tuple[Path, Path]:
    """Write the algorithm's folder and nnU-Net's, with the same weights."""
    algorithm, nnunet = folder / "algorithm", folder / "nnunet"
    names = [str(fold) for fold in range(folds)]
    write_checkpoint(algorithm, plans, dataset, folds=names, mirror_axes=mirror_axes)
    write_checkpoint(nnunet, *_with_click_images(plans, dataset), folds=names, mirror_axes=mirror_axes)
    return algorithm, nnunet


def write_checkpoint(
    folder: Path,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    *,
    folds: Sequence[str],
    mirror_axes: tuple[int, ...],
    channels: int = 4,
    classes: int = 2,
) -> None:
    """Write what nnU-Net v2's training leaves; `channels` and `classes` are the network's."""
    write_json(plans, folder / "plans.json")
    write_json(dataset, folder / "dataset.json")
    architecture = read_architecture(read_configuration(folder, CONFIGURATION), folder / "plans.json")
    arguments = {**architecture.arguments, "deep_supervision": False}

    def network() -> ResidualEncoderUNet:
        return ResidualEncoderUNet(input_channels=channels, num_classes=classes, **arguments)

    for seed, fold in enumerate(folds):
        save_nnunet_v2(
            seeded(network, seed),
            folder / f"fold_{fold}" / "checkpoint_final.pth",
            plans=plans,
            dataset=dataset,
            configuration=CONFIGURATION,
            trainer="nnUNetTrainer",
            mirror_axes=mirror_axes,
            epochs=1000,
        )


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
