"""Train the demo checkpoint: `python -m containers.l2snet.demo.train --output DIR`.

The training is reproducible by its seeds, which are far from those that users try for their own phantoms.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.demo.checkpoints import save_nnunet_v1, save_weights
from common.demo.command import output_folder
from common.demo.patches import Batch, PatchSampler
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom
from common.demo.plans_v1 import make_plans, write_plans
from common.demo.subjects import in_network_space, phantoms_with_lesions
from common.demo.training import expect_rare_foreground, initialise, train
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import MIRROR_AXES, PLANS_FILE
from common.export.checkpoints.v1.unet import GenericUNet
from containers.l2snet.demo.shallow_localiser import ShallowLocaliser, full_state_dict
from containers.l2snet.demo.subjects import in_frames
from containers.l2snet.export import IMAGE_CHANNELS, read_plans

logger = logging.getLogger(__name__)

SUBJECTS = 48
FIRST_SEED = 2_000_000
STEPS_2D, BATCH_2D, PATCH_2D = 1200, 4, (1, 160, 192)
STEPS_3D, BATCH_3D = 3000, 3
PATCH = (48, 48, 64)
BASE_FEATURES, POOLINGS = 8, 4
TRAINER = "nnUNetTrainerV2"


def train_checkpoint(
    output: Path, steps_2d: int = STEPS_2D, steps_3d: int = STEPS_3D, subjects: int = SUBJECTS
) -> None:
    """Write `plans.pkl` and, in `fold_0`, the checkpoints of both networks into `output`."""
    start = time.monotonic()
    plans = _make_plans(phantoms_with_lesions(FIRST_SEED, subjects))
    write_plans(plans, output)
    _train_segmentation(output, plans, steps_3d, subjects)
    logger.info("3D network trained in %.0f s", time.monotonic() - start)
    _train_localisation(output / "fold_0" / f"epoch_{steps_2d:03d}.pth", steps_2d, subjects)
    logger.info("both trained in %.0f s", time.monotonic() - start)


def _make_plans(phantoms: Iterator[Phantom]) -> dict[str, Any]:
    lesions = [(phantom.pet[phantom.truth > 0], phantom.ct[phantom.truth > 0]) for phantom in phantoms]
    return make_plans(
        IMAGE_CHANNELS,
        [np.concatenate(intensities) for intensities in zip(*lesions, strict=True)],
        patch=PATCH,
        spacing=DEFAULT_SPACING,
        median_shape=DEFAULT_SHAPE,
        base_features=BASE_FEATURES,
        poolings=POOLINGS,
        batch=BATCH_3D,
        scheme="CT",
    )


def _train_localisation(path: Path, steps: int, subjects: int) -> None:
    sampler = PatchSampler(
        [in_frames(phantom) for phantom in phantoms_with_lesions(FIRST_SEED, subjects)], PATCH_2D, BATCH_2D
    )

    def slices(rng: np.random.Generator) -> Batch:
        images, truths = sampler(rng)
        return images[:, :, 0], truths[:, 0]

    network = ShallowLocaliser()
    initialise(network, FIRST_SEED)
    expect_rare_foreground(network.segmentation_head[0])
    save_weights(full_state_dict(train(network, slices, steps=steps, seed=FIRST_SEED)), path)


def _train_segmentation(folder: Path, plans: dict[str, Any], steps: int, subjects: int) -> None:
    network_plans, network_plan = read_plans(folder / PLANS_FILE)
    prepared = [
        in_network_space(phantom, (phantom.pet, phantom.ct), network_plans)
        for phantom in phantoms_with_lesions(FIRST_SEED, subjects)
    ]
    network = GenericUNet(network_plan)
    initialise(network, FIRST_SEED)
    (segmentation_layer,) = network.seg_outputs.values()
    expect_rare_foreground(segmentation_layer)
    sampler = PatchSampler(prepared, PATCH, BATCH_3D)
    train(network, sampler, steps=steps, seed=FIRST_SEED, mirror_axes=MIRROR_AXES)
    path = folder / "fold_0" / CHECKPOINT_FILE
    save_nnunet_v1(network, path, plans=plans, trainer=TRAINER, epochs=steps)


if __name__ == "__main__":
    train_checkpoint(output_folder())
