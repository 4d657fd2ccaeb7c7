"""GEPNet's trained folder: its plans, and its network with a fold's weights."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from common.errors import ModelError
from common.export.checkpoints.v1.checkpoint import read_weights
from common.export.checkpoints.v1.plans import read_plans_v1
from common.export.checkpoints.weights import load_weights
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape
from containers.gepnet.export.network import DOWNSAMPLING, GEPNet

IMAGE_CHANNELS = ("PET", "CT")
"""A checkpoint was trained on both or on the first."""
CLASSES = 2
USE_ITS_PLANS = "use the plans that this checkpoint was trained with"


def read_plans(path: Path) -> Plans:
    """The plans in a file, with the platform's names for the modalities: PET, or PET and CT.

    Raises `ModelError` as `read_plans_v1` does, for another number of modalities, and for a patch that the
    network cannot take.
    """
    plans = read_plans_v1(path)
    if len(plans.channels) > len(IMAGE_CHANNELS):
        raise ModelError(
            f"{path}: found {len(plans.channels)} modalities, expected 1 (PET) or 2 (PET, CT); use a "
            "checkpoint that was trained for this algorithm"
        )
    if any(voxels % DOWNSAMPLING for voxels in plans.patch):
        raise ModelError(
            f"{path}: found patch_size {plans.patch}, expected multiples of {DOWNSAMPLING}; {USE_ITS_PLANS}"
        )
    return plans.with_names(IMAGE_CHANNELS[: len(plans.channels)])


def load_network(plans: Plans, path: Path) -> GEPNet:
    """One fold's network, set to inference.

    Raises `ModelError` for a checkpoint that is missing, damaged, holds more than data, or does not fit the
    plans, such as one that was trained on tiles of another shape.
    """
    weights = read_weights(path)
    trained_at = _spatial_shape(weights)
    if trained_at not in (None, plans.patch):
        raise ModelError(
            f"{path}: trained on tiles of {trained_at} voxels, the plans say {plans.patch}; {USE_ITS_PLANS}"
        )
    network = GEPNet(plans.patch, len(plans.channels), CLASSES)
    load_weights(network, weights, path, wanted="GEPNet as the plans describe it")
    return network


def _spatial_shape(weights: Mapping[str, Tensor]) -> Shape | None:
    """The tile's shape, as the position tables of the first attention block tell it."""
    sizes = []
    for axis, name in enumerate(("ah_bias", "aw_bias", "ad_bias"), start=3):
        table = weights.get(f"hyb_encoder.vits.0.0.attn.{name}")
        if table is None or table.ndim != 6:
            return None
        sizes.append(8 * table.shape[axis])
    z, y, x = sizes
    return z, y, x
