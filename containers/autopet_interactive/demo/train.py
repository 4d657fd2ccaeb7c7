"""Train the demo checkpoint: `python -m containers.autopet_interactive.demo.train --output DIR`.

The training is reproducible by its seeds, which are far from those that users try for their own phantoms.
"""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.demo.checkpoints import save_nnunet_v2
from common.demo.command import output_folder
from common.demo.patches import PatchSampler
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom, make_phantom
from common.demo.training import expect_rare_foreground, initialise, train
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.plans import read_configuration, read_plans
from containers.autopet_interactive.demo.plans import (
    BATCH,
    CONFIGURATION,
    FEATURES,
    PATCH,
    make_dataset,
    make_plans,
)
from containers.autopet_interactive.demo.subject import ClickedSubject

logger = logging.getLogger(__name__)

SUBJECTS = 64
FINGERPRINT_SUBJECTS = 12
"""Number of subjects whose intensities and shapes are used for the plans."""
MAX_INFLAMMATIONS = 3
"""More than in other phantoms, so that the network learns the meaning of a background click in one."""
FIRST_SEED = 1_000_000
STEPS = 2500
MIRROR_AXES = (2,)
"""Only left-right (x): a body is not symmetric along the other axes."""
CHANNELS, CLASSES = 4, 2
SEGMENTATION_LAYER = f"decoder.seg_layers.{len(FEATURES) - 2}"
TRAINER = "autopetTrainerInteractiveNoOrgans"
GRIDS = ((DEFAULT_SHAPE, DEFAULT_SPACING),) * 3 + (((300, 160, 200), (3.2, 2.6, 2.6)),)
"""Shapes and spacings (mm), (z, y, x), of the phantoms in turn; those of the last one are resampled."""


def train_checkpoint(output: Path, steps: int = STEPS, subjects: int = SUBJECTS) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` into `output`."""
    start = time.monotonic()
    plans, dataset = make_plans(*_fingerprint(min(subjects, FINGERPRINT_SUBJECTS))), make_dataset(subjects)
    _write_json(plans, output / "plans.json")
    _write_json(dataset, output / "dataset.json")
    network_plans = read_plans(output, CONFIGURATION)
    sampler = PatchSampler(
        [ClickedSubject.of(phantom, network_plans) for phantom in _phantoms(subjects)], PATCH, BATCH
    )
    architecture = read_architecture(read_configuration(output, CONFIGURATION), output / "plans.json")
    network = initialise(architecture.build(CHANNELS, CLASSES), FIRST_SEED)
    expect_rare_foreground(network.get_submodule(SEGMENTATION_LAYER))
    logger.info("%d phantoms prepared in %.0f s", subjects, time.monotonic() - start)
    train(network, sampler, steps=steps, seed=FIRST_SEED, mirror_axes=MIRROR_AXES)
    save_nnunet_v2(
        network,
        output / "fold_0" / "checkpoint_final.pth",
        plans=plans,
        dataset=dataset,
        configuration=CONFIGURATION,
        trainer=TRAINER,
        mirror_axes=MIRROR_AXES,
        epochs=steps,
    )
    logger.info("trained in %.0f s", time.monotonic() - start)


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


def _write_json(document: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    train_checkpoint(output_folder())
