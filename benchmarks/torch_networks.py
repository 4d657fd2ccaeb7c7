"""The torch networks of checkpoints of real size, as their trainers would load them."""

from collections.abc import Callable
from pathlib import Path

import torch

from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import PLANS_FILE
from common.export.checkpoints.v1.unet import load_unet
from common.export.checkpoints.v2.trained_folder import load_fold, read_trained_folder
from containers.gepnet.export.checkpoint import load_network
from containers.gepnet.export.checkpoint import read_plans as read_gepnet_plans
from containers.l2snet.export import find_localiser
from containers.l2snet.export import read_plans as read_l2snet_plans
from containers.l2snet.export.res2net_unet import load_localiser

FOLD = "0"


def autopet_interactive(checkpoint: Path) -> dict[str, torch.nn.Module]:
    """ResEnc-L."""
    trained = read_trained_folder(checkpoint, [FOLD])
    return {"segmentation": load_fold(trained, FOLD, "decoder.organ_seg_layers.")}


def l2snet(checkpoint: Path) -> dict[str, torch.nn.Module]:
    """nnU-Net v1's 3D network, and the 2D network."""
    _, network_plan = read_l2snet_plans(checkpoint / PLANS_FILE)
    fold = checkpoint / f"fold_{FOLD}"
    return {
        "localisation": load_localiser(find_localiser(fold)),
        "segmentation": load_unet(network_plan, fold / CHECKPOINT_FILE),
    }


def gepnet(checkpoint: Path) -> dict[str, torch.nn.Module]:
    """GEPNet with the reference operator."""
    plans = read_gepnet_plans(checkpoint / PLANS_FILE)
    return {"segmentation": load_network(plans, checkpoint / f"fold_{FOLD}" / CHECKPOINT_FILE)}


LOADERS: dict[str, Callable[[Path], dict[str, torch.nn.Module]]] = {
    "autopet_interactive": autopet_interactive,
    "gepnet": gepnet,
    "l2snet": l2snet,
}
"""Networks of fold 0 by their names, in evaluation mode, by algorithm."""
