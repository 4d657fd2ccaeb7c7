"""Train the demo checkpoint: `python -m containers.autopet_interactive.demo.train --output DIR`.

The training is reproducible by its seeds, which are far from those that users try for their own phantoms.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.demo.command import output_folder
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom, make_phantom
from common.demo.plans_v2 import Design, make_dataset, make_plans
from common.demo.training_v2 import train_folder
from containers.autopet_interactive.demo.subject import ClickedSubject
from containers.autopet_interactive.export import CLICK_CHANNELS, IMAGE_CHANNELS

SUBJECTS = 64
FINGERPRINT_SUBJECTS = 12
"""Number of subjects whose intensities and shapes are used for the plans."""
MAX_INFLAMMATIONS = 3
"""More than in other phantoms, so that the network learns the meaning of a background click in one."""
FIRST_SEED = 1_000_000
STEPS = 2500
MIRROR_AXES = (2,)
"""Only left-right (x): a body is not symmetric along the other axes."""
LABELS = ("tumor",)
DESIGN = Design(
    spacing=(4.0, 4.0, 4.0),
    patch=(48, 48, 64),
    batch=3,
    features=(8, 16, 32, 64, 64),
    blocks=(1, 2, 2, 2, 1),
    schemes=("CTNormalization", "CTNormalization"),
)
TRAINER = "autopetTrainerInteractiveNoOrgans"
GRIDS = ((DEFAULT_SHAPE, DEFAULT_SPACING),) * 3 + (((300, 160, 200), (3.2, 2.6, 2.6)),)
"""Shapes and spacings (mm), (z, y, x), of the phantoms in turn; those of the last one are resampled."""


def train_checkpoint(output: Path, steps: int = STEPS, subjects: int = SUBJECTS) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` into `output`."""
    train_folder(
        output,
        DESIGN,
        make_plans(DESIGN, *_fingerprint(min(subjects, FINGERPRINT_SUBJECTS))),
        make_dataset(IMAGE_CHANNELS, LABELS, subjects),
        lambda plans: [ClickedSubject.of(phantom, plans) for phantom in _phantoms(subjects)],
        channels=len(IMAGE_CHANNELS) + len(CLICK_CHANNELS),
        classes=len(LABELS) + 1,
        trainer=TRAINER,
        mirror_axes=MIRROR_AXES,
        steps=steps,
        seed=FIRST_SEED,
    )


def _phantoms(subjects: int) -> Iterator[Phantom]:
    for index in range(subjects):
        shape, spacing = GRIDS[index % len(GRIDS)]
        yield make_phantom(FIRST_SEED + index, shape, spacing, inflammations=index % (MAX_INFLAMMATIONS + 1))


def _fingerprint(subjects: int) -> tuple[list[Any], list[int]]:
    """Return the tumour intensities in CT and PET, and the median shape."""
    foregrounds, shapes = [], []
    for phantom in _phantoms(subjects):
        foregrounds.append((phantom.ct[phantom.truth > 0], phantom.pet[phantom.truth > 0]))
        shapes.append(phantom.ct.shape)
    ct, pet = (np.concatenate(voxels) for voxels in zip(*foregrounds, strict=True))
    return [ct, pet], np.median(shapes, axis=0).astype(int).tolist()


if __name__ == "__main__":
    train_checkpoint(output_folder())
