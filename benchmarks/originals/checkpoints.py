"""Checkpoints of nnU-Net v2 with random weights, once for this project and once for nnU-Net itself.

nnU-Net knows no clicks, so its folder declares the algorithm's click channels as two more images.
"""

import copy
import json
from pathlib import Path
from typing import Any

from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.demo.checkpoints import save_nnunet_v2
from common.demo.plans_v2 import CONFIGURATION
from common.demo.training import seeded
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.plans import read_configuration


def write_pair(
    folder: Path, plans: dict[str, Any], dataset: dict[str, Any], *, folds: int, mirror_axes: tuple[int, ...]
) -> tuple[Path, Path]:
    """Write the algorithm's folder and nnU-Net's, with the same weights."""
    algorithm, nnunet = folder / "algorithm", folder / "nnunet"
    write_checkpoint(algorithm, plans, dataset, folds=folds, mirror_axes=mirror_axes)
    write_checkpoint(nnunet, *_with_click_images(plans, dataset), folds=folds, mirror_axes=mirror_axes)
    return algorithm, nnunet


def write_checkpoint(
    folder: Path, plans: dict[str, Any], dataset: dict[str, Any], *, folds: int, mirror_axes: tuple[int, ...]
) -> None:
    """Write what nnU-Net v2's training leaves, of networks of four channels and two classes."""
    folder.mkdir(parents=True)
    for name, document in (("plans.json", plans), ("dataset.json", dataset)):
        (folder / name).write_text(json.dumps(document))
    architecture = read_architecture(read_configuration(folder, CONFIGURATION), folder / "plans.json")
    arguments = {**architecture.arguments, "deep_supervision": False}
    for fold in range(folds):
        save_nnunet_v2(
            seeded(lambda: ResidualEncoderUNet(input_channels=4, num_classes=2, **arguments), fold),
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
