"""Trains the demo checkpoint: `python -m containers.nnunet.demo.train --output DIR`.

Everything comes from seeds. The seeds of the training's phantoms start far from those that people try.
"""

import logging
import time
from pathlib import Path

import numpy as np

from common.demo.checkpoints import save_nnunet_v2
from common.demo.command import output_folder
from common.demo.patches import PatchSampler
from common.demo.phantom.phantom import DEFAULT_SHAPE
from common.demo.plans_v2 import CONFIGURATION, Design, make_dataset, make_plans, write_json
from common.demo.training import expect_rare_foreground, initialise, train
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.plans import read_configuration, read_plans
from containers.nnunet.demo.subjects import in_network_space, labelled_phantoms

logger = logging.getLogger(__name__)

SUBJECTS = 48
FINGERPRINTED = 12
"""Subjects whose intensities go into the plans."""
FIRST_SEED = 4_000_000
STEPS = 700
MIRROR_AXES = (2,)
"""Left and right alone: a body's back and feet are not alike to its front and head."""
CHANNELS, LABELS = ("CT", "PET"), ("lesion", "physiological uptake")
DESIGN = Design(
    spacing=(5.0, 5.0, 5.0),
    patch=(32, 40, 48),
    batch=2,
    features=(8, 16, 32, 48),
    blocks=(1, 1, 2, 1),
    schemes=("CTNormalization", "ZScoreNormalization"),
)


def train_checkpoint(output: Path, steps: int = STEPS, subjects: int = SUBJECTS) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` into `output`."""
    start = time.monotonic()
    plans = make_plans(DESIGN, _fingerprint(min(subjects, FINGERPRINTED)), DEFAULT_SHAPE)
    dataset = make_dataset(CHANNELS, LABELS, subjects)
    write_json(plans, output / "plans.json")
    write_json(dataset, output / "dataset.json")
    network_plans = read_plans(output, CONFIGURATION)
    prepared = [
        in_network_space(labelled, network_plans) for labelled in labelled_phantoms(FIRST_SEED, subjects)
    ]
    architecture = read_architecture(read_configuration(output, CONFIGURATION), output / "plans.json")
    network = initialise(architecture.build(len(CHANNELS), len(LABELS) + 1), FIRST_SEED)
    expect_rare_foreground(network.get_submodule(DESIGN.segmentation_layer))
    logger.info("%d phantoms prepared in %.0f s", subjects, time.monotonic() - start)
    sampler = PatchSampler(prepared, DESIGN.patch, DESIGN.batch)
    train(network, sampler, steps=steps, seed=FIRST_SEED, mirror_axes=MIRROR_AXES)
    save_nnunet_v2(
        network,
        output / "fold_0" / "checkpoint_final.pth",
        plans=plans,
        dataset=dataset,
        configuration=CONFIGURATION,
        trainer="nnUNetTrainer",
        mirror_axes=MIRROR_AXES,
        epochs=steps,
    )
    logger.info("trained in %.0f s", time.monotonic() - start)


def _fingerprint(subjects: int) -> list[np.ndarray]:
    """Intensities of the lesions and the uptake in CT and PET."""
    voxels = [
        (labelled.phantom.ct[labelled.labels > 0], labelled.phantom.pet[labelled.labels > 0])
        for labelled in labelled_phantoms(FIRST_SEED, subjects)
    ]
    return [np.concatenate(intensities) for intensities in zip(*voxels, strict=True)]


if __name__ == "__main__":
    train_checkpoint(output_folder())
