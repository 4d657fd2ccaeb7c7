"""Export of trained L2SNet checkpoints to a model folder.

Source: MedCAI/L2SNet; the 3D network is that of nnU-Net v1, the 2D network's weights are in its first fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from common.errors import ModelError
from common.export.checkpoints.folds import find_folds, require_file
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import (
    MIRROR_AXES,
    NetworkPlan,
    find_plans,
    read_network_plan,
    read_plans_v1,
)
from common.export.checkpoints.v1.postprocessing import read_postprocessing
from common.export.checkpoints.v1.unet import load_unet
from common.export.network import export_network
from common.export.onnx.parity import smallest_patch
from common.hashes import sha256_of_all
from common.inference.network import Network
from common.model.model import Model
from common.model.writing import new_model_folder, write_model
from common.nnunet.plans import Plans
from containers.l2snet.export.res2net_unet import CLASSES, load_localiser
from containers.l2snet.localisation import CHANNELS, MIDDLE, TILE

ALGORITHM = "l2snet"
IMAGE_CHANNELS = ("PET", "CT")
SLICES = tuple(f"PET slice {offset:+d}" for offset in range(-MIDDLE, CHANNELS - MIDDLE))
FOLD_OF_LOCALISER = "0"


def export(checkpoint: Path, destination: Path, folds: Sequence[str] | None = None) -> None:
    """Export the trained folder `checkpoint` to the model folder `destination`: all folds, or those named.

    Raises `ModelError` for a checkpoint that is damaged, malicious, or belongs to another algorithm.
    """
    found = find_folds(checkpoint, CHECKPOINT_FILE, folds)
    plans_file = find_plans(checkpoint, next(iter(found.values())))
    plans, network_plan = read_plans(plans_file)
    localiser = find_localiser(checkpoint / f"fold_{FOLD_OF_LOCALISER}")
    postprocessing = read_postprocessing(checkpoint)
    source = sha256_of_all(checkpoint, [plans_file, localiser, *found.values()])
    with new_model_folder(destination) as folder:
        networks = (
            export_localisation(folder, load_localiser(localiser)),
            export_segmentation(folder, plans, network_plan, found),
        )
        write_model(folder, Model(ALGORITHM, networks, source, asdict(postprocessing)))


def export_localisation(folder: Path, localiser: torch.nn.Module) -> Network:
    """Export the 2D network into `folder`."""
    return export_network(
        folder,
        "localisation",
        [FOLD_OF_LOCALISER],
        lambda fold: localiser,
        channels=SLICES,
        patch=TILE,
        classes=CLASSES,
    )


def export_segmentation(
    folder: Path, plans: Plans, network_plan: NetworkPlan, folds: Mapping[str, Path]
) -> Network:
    """Export the 3D network into `folder`; `folds` are the checkpoint files by the names of the folds."""
    return export_network(
        folder,
        "segmentation",
        list(folds),
        lambda fold: load_unet(network_plan, folds[fold]),
        channels=IMAGE_CHANNELS,
        patch=plans.patch,
        classes=network_plan.classes,
        parity_patch=smallest_patch(plans.patch, network_plan.strides),
        mirror_axes=MIRROR_AXES,
        plans=plans,
    )


def read_plans(path: Path) -> tuple[Plans, NetworkPlan]:
    """Read the plans, with the modalities renamed to PET and CT, and the 3D network's architecture.

    Raises `ModelError` as `read_plans_v1` does, and for another number of modalities or classes.
    """
    plans, network_plan = read_plans_v1(path), read_network_plan(path)
    found = len(plans.channels), network_plan.classes
    if found != (len(IMAGE_CHANNELS), CLASSES):
        raise ModelError(
            f"{path}: found {found[0]} modalities and {found[1]} classes, expected "
            f"{len(IMAGE_CHANNELS)} ({', '.join(IMAGE_CHANNELS)}) and {CLASSES} (background, lesion); use a "
            "checkpoint that was trained for this algorithm"
        )
    return plans.with_names(IMAGE_CHANNELS), network_plan


def find_localiser(folder: Path) -> Path:
    """Return the checkpoint file of the 2D network's last epoch."""
    epochs = {
        int(epoch): path
        for path in folder.glob("epoch_*.pth")
        if (epoch := path.stem.removeprefix("epoch_")).isdecimal()
    }
    if not epochs:
        raise ModelError(
            f"{folder}: found no epoch_*.pth, expected the 2D network's checkpoint; copy it there from "
            "L2SNet's 2D training"
        )
    require_file(epochs[max(epochs)])
    return epochs[max(epochs)]
