"""Reading of GEPNet's trained folder: plans, and the network with the weights of a fold."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from common.errors import ModelError
from common.export.checkpoints.v1.checkpoint import read_weights
from common.export.checkpoints.v1.plans import read_plans_v1
from common.export.checkpoints.weights import load_weights
from common.geometry import triple
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape
from containers.gepnet.export.network import DOWNSAMPLING, GEPNet

IMAGE_CHANNELS = ("PET", "CT")
"""A checkpoint was trained on both, or on PET alone."""
CLASSES = 2
PLANS_HINT = "use the plans that this checkpoint was trained with"


def read_plans(path: Path) -> Plans:
    """Read the plans from a file, with the modalities renamed to PET, or PET and CT.

    Raises `ModelError` as `read_plans_v1` does, for another number of modalities, and for a patch size that
    the network does not support.
    """
    plans = read_plans_v1(path)
    if len(plans.channels) > len(IMAGE_CHANNELS):
        raise ModelError(
            f"{path}: found {len(plans.channels)} modalities, expected 1 (PET) or 2 (PET, CT); use a "
            "checkpoint that was trained for this algorithm"
        )
    if any(voxels % DOWNSAMPLING for voxels in plans.patch):
        raise ModelError(
            f"{path}: found patch_size {plans.patch}, expected multiples of {DOWNSAMPLING}; {PLANS_HINT}"
        )
    return plans.with_names(IMAGE_CHANNELS[: len(plans.channels)])


def load_network(plans: Plans, path: Path) -> GEPNet:
    """Load the network of one fold, in evaluation mode.

    Raises `ModelError` for a checkpoint that is missing, damaged, contains code, or does not fit the plans,
    for example because it was trained with another patch size.
    """
    weights = read_weights(path)
    trained_at = _spatial_shape(weights)
    if trained_at not in (None, plans.patch):
        raise ModelError(
            f"{path}: trained on tiles of {trained_at} voxels, the plans say {plans.patch}; {PLANS_HINT}"
        )
    network = GEPNet(plans.patch, len(plans.channels), CLASSES)
    load_weights(network, weights, path, wanted="GEPNet as the plans describe it")
    return network


def _spatial_shape(weights: Mapping[str, Tensor]) -> Shape | None:
    """Return the patch size of the training, from the position tables of the first attention block."""
    sizes = []
    for axis, name in enumerate(("ah_bias", "aw_bias", "ad_bias"), start=3):
        table = weights.get(f"hyb_encoder.vits.0.0.attn.{name}")
        if table is None or table.ndim != 6:
            return None
        sizes.append(8 * table.shape[axis])
    return triple(sizes)
