"""From trained L2SNet checkpoints to their model folder.

Source: MedCAI/L2SNet, whose 3D network is nnU-Net v1's and whose 2D network's weights lie in its first fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from common.errors import ModelError
from common.export.checkpoint import find_folds
from common.export.checkpoint_v1 import CHECKPOINT_FILE
from common.export.network import export_network
from common.export.nnunet_v1 import load_unet
from common.export.parity import smallest_patch
from common.export.res2net_unet import CLASSES, load_localiser
from common.model_folder import Model, Network, new_model_folder, sha256_of_all, write_model
from common.nnunet.plans import Plans
from common.nnunet.plans_v1 import MIRROR_AXES, UNet, find_plans, read_plans_v1, read_unet
from common.nnunet.postprocessing_v1 import read_postprocessing
from containers.l2snet.localisation import CHANNELS, MIDDLE, TILE

ALGORITHM = "l2snet"
IMAGE_CHANNELS = ("PET", "CT")
SLICES = tuple(f"PET slice {offset:+d}" for offset in range(-MIDDLE, CHANNELS - MIDDLE))
FOLD_OF_LOCALISER = "0"


def export(checkpoint: Path, destination: Path, folds: Sequence[str] | None = None) -> None:
    """Write the model folder `destination` from the trained folder `checkpoint`: all folds, or those named.

    Raises `ModelError` for a checkpoint that is damaged, hostile, or not one of this algorithm.
    """
    found = find_folds(checkpoint, folds, CHECKPOINT_FILE)
    plans_file = find_plans(checkpoint, next(iter(found.values())))
    plans, make = read_plans(plans_file)
    localiser = _find_localiser(checkpoint / f"fold_{FOLD_OF_LOCALISER}")
    postprocessing = read_postprocessing(checkpoint)
    source = sha256_of_all(checkpoint, [plans_file, localiser, *found.values()])
    with new_model_folder(destination) as folder:
        networks = (
            export_localisation(folder, load_localiser(localiser)),
            export_segmentation(folder, plans, make, found),
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


def export_segmentation(folder: Path, plans: Plans, make: UNet, folds: Mapping[str, Path]) -> Network:
    """Export the 3D network of every fold, name → checkpoint file, into `folder`."""
    return export_network(
        folder,
        "segmentation",
        list(folds),
        lambda fold: load_unet(make, folds[fold]),
        channels=IMAGE_CHANNELS,
        patch=plans.patch,
        classes=make.classes,
        parity_patch=smallest_patch(plans.patch, make.strides),
        mirror_axes=MIRROR_AXES,
        plans=plans,
    )


def read_plans(path: Path) -> tuple[Plans, UNet]:
    """The plans in a file, with the platform's names for the modalities, and the 3D network's make.

    Raises `ModelError` as `read_plans_v1` does, and for another number of modalities or classes.
    """
    plans, make = read_plans_v1(path), read_unet(path)
    found = len(plans.channels), make.classes
    if found != (len(IMAGE_CHANNELS), CLASSES):
        raise ModelError(
            f"{path}: found {found[0]} modalities and {found[1]} classes, expected "
            f"{len(IMAGE_CHANNELS)} ({', '.join(IMAGE_CHANNELS)}) and {CLASSES} (background, lesion); use a "
            "checkpoint that was trained for this algorithm"
        )
    return plans.with_names(IMAGE_CHANNELS), make


def _find_localiser(folder: Path) -> Path:
    """The 2D network's last epoch."""
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
    return epochs[max(epochs)]
