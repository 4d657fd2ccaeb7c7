"""Train the demo checkpoint: `python -m containers.nnunet.demo.train --output DIR`.

The training is reproducible by its seeds, which are far from those that users try for their own phantoms.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.demo.command import output_folder
from common.demo.phantom.phantom import DEFAULT_SHAPE
from common.demo.plans_v2 import Design, make_dataset, make_plans
from common.demo.training_v2 import train_folder
from containers.nnunet.demo.subjects import in_network_space, labelled_phantoms

SUBJECTS = 48
FINGERPRINT_SUBJECTS = 12
"""Number of subjects whose intensities are used for the plans."""
FIRST_SEED = 4_000_000
STEPS = 1200
MIRROR_AXES = (2,)
"""Only left-right (x): a body is not symmetric along the other axes."""
CHANNELS, LABELS = ("CT", "PET"), ("lesion", "physiological uptake")
DESIGN = Design(
    spacing=(4.0, 4.0, 4.0),
    patch=(40, 48, 64),
    batch=2,
    features=(8, 16, 32, 64),
    blocks=(1, 1, 2, 1),
    schemes=("CTNormalization", "ZScoreNormalization"),
)
TRAINER = "nnUNetTrainer"


def train_checkpoint(output: Path, steps: int = STEPS, subjects: int = SUBJECTS) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` into `output`."""
    train_folder(
        output,
        DESIGN,
        make_plans(DESIGN, _fingerprint(min(subjects, FINGERPRINT_SUBJECTS)), DEFAULT_SHAPE),
        make_dataset(CHANNELS, LABELS, subjects),
        lambda plans: [in_network_space(p, plans) for p in labelled_phantoms(FIRST_SEED, subjects)],
        channels=len(CHANNELS),
        classes=len(LABELS) + 1,
        trainer=TRAINER,
        mirror_axes=MIRROR_AXES,
        steps=steps,
        seed=FIRST_SEED,
    )


def _fingerprint(subjects: int) -> list[NDArray[np.float32]]:
    """CT and PET intensities of lesions and uptake."""
    voxels = [
        (labelled.phantom.ct[labelled.labels > 0], labelled.phantom.pet[labelled.labels > 0])
        for labelled in labelled_phantoms(FIRST_SEED, subjects)
    ]
    return [np.concatenate(intensities) for intensities in zip(*voxels, strict=True)]


if __name__ == "__main__":
    train_checkpoint(output_folder())
