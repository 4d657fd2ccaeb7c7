"""Checkpoints of the published networks' sizes, with random weights, in their trainers' own forms."""

from pathlib import Path
from typing import Any

import torch

from benchmarks.clinical import INTENSITIES, SHAPE, SPACING
from benchmarks.originals.checkpoints import write_checkpoint
from common.demo import plans_v2
from common.demo.checkpoints import save_nnunet_v1
from common.demo.plans_v1 import make_plans, write_plans
from common.demo.training import initialise, seeded
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import PLANS_FILE
from common.export.checkpoints.v1.unet import GenericUNet
from containers.gepnet.export.network import GEPNet
from containers.l2snet.export import IMAGE_CHANNELS, read_plans
from containers.l2snet.export.res2net_unet import Localiser

FEATURES = (32, 64, 128, 256, 320, 320)
BLOCKS = (1, 3, 4, 6, 6, 6)
"""ResEnc-L, as nnU-Net's planner `nnUNetPlannerResEncL` gives it for a patch of 192³."""


def write_autopet_interactive(folder: Path, folds: int) -> None:
    """ResEnc-L of 102 million parameters on four channels, tiles of 192³."""
    schemes = ("CTNormalization", "CTNormalization")
    design = plans_v2.Design(SPACING, (192, 192, 192), 2, FEATURES, BLOCKS, schemes)
    plans = plans_v2.make_plans(design, INTENSITIES, SHAPE)
    dataset = plans_v2.make_dataset(("CT", "PET"), ("tumor",), 1000)
    names = [str(fold) for fold in range(folds)]
    write_checkpoint(folder, plans, dataset, folds=names, mirror_axes=(0, 1, 2))


def write_l2snet(folder: Path, folds: int) -> None:
    """nnU-Net v1's 3D network of 31 million parameters, tiles of 128³, and the 2D network."""
    plans = _plans_v1(IMAGE_CHANNELS, SPACING, "CT")
    write_plans(plans, folder)
    _, network_plan = read_plans(folder / PLANS_FILE)
    for fold in range(folds):
        network = initialise(GenericUNet(network_plan), fold)
        _save_v1(network, folder / f"fold_{fold}", plans, "nnUNetTrainerV2")
    torch.save(initialise(Localiser(), 0).state_dict(), folder / "fold_0" / "epoch_030.pth")


def write_gepnet(folder: Path, folds: int) -> None:
    """GEPNet for tiles of 128³ at 1 mm, as its authors published it."""
    plans = _plans_v1(["PET"], (1.0, 1.0, 1.0), "nonCT")
    write_plans(plans, folder)
    for fold in range(folds):
        _save_v1(seeded(GEPNet, fold), folder / f"fold_{fold}", plans, "gepnet_trainer_PET")


def _plans_v1(modalities: Any, spacing: tuple[float, float, float], scheme: Any) -> dict[str, Any]:
    return make_plans(
        modalities,
        INTENSITIES[: len(modalities)],
        patch=(128, 128, 128),
        spacing=spacing,
        median_shape=SHAPE,
        base_features=32,
        poolings=5,
        batch=2,
        scheme=scheme,
    )


def _save_v1(network: Any, folder: Path, plans: dict[str, Any], trainer: str) -> None:
    path = folder / CHECKPOINT_FILE
    save_nnunet_v1(network, path, plans=plans, trainer=trainer, epochs=1000, compacted=False)


WRITERS = {
    "autopet_interactive": write_autopet_interactive,
    "gepnet": write_gepnet,
    "l2snet": write_l2snet,
}
