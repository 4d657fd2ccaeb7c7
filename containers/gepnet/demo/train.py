"""Train the demo checkpoint: `python -m containers.gepnet.demo.train --output DIR`.

The training is reproducible by its seeds, which are far from those that users try for their own phantoms.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.demo.checkpoints import save_nnunet_v1
from common.demo.command import output_folder
from common.demo.patches import PatchSampler
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom
from common.demo.plans_v1 import make_plans, write_plans
from common.demo.subjects import in_network_space, phantoms_with_lesions
from common.demo.training import expect_rare_foreground, freeze_at_zero, seeded, train
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import MIRROR_AXES, PLANS_FILE, read_plans_v1
from common.nnunet.plans import Plans
from containers.gepnet.export.network import GEPNet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """One phase of the training, on its own phantoms."""

    first_seed: int
    subjects: int
    steps: int
    learning_rate: float

    @property
    def phantoms(self) -> Iterator[Phantom]:
        """The phantoms of this phase."""
        return phantoms_with_lesions(self.first_seed, self.subjects)


PHASES = (Phase(3_000_000, 48, 1600, 2e-3), Phase(3_000_048, 96, 600, 1e-3))
"""The second phase has more phantoms, because the network has overfitted to those of the first one."""
BATCH = 2
PATCH = (32, 64, 64)
TRAINER = "gepnet_trainer_PET"
FROZEN_PARTS = ("pos_embed", "_bias", "hyb_encoder.vits.2.0.conv3.conv", "hyb_encoder.convs.2.conv")
"""Parts of the names of weights that stay zero, to keep the checkpoint small: all position tables, and the
residual blocks of the deepest stage, which then pass their input through."""


def train_checkpoint(output: Path, phases: Sequence[Phase] = PHASES) -> None:
    """Write `plans.pkl` and `fold_0/model_final_checkpoint.model` into `output`."""
    start = time.monotonic()
    plans = _make_plans(phases[0].phantoms)
    write_plans(plans, output)
    network = seeded(lambda: GEPNet(PATCH), phases[0].first_seed)
    freeze_at_zero(parameter for name, parameter in network.named_parameters() if is_frozen(name))
    expect_rare_foreground(network.segmentation_layer)
    for phase in phases:
        train(
            network,
            _sampler(read_plans_v1(output / PLANS_FILE), phase.phantoms),
            steps=phase.steps,
            seed=phase.first_seed,
            mirror_axes=MIRROR_AXES,
            learning_rate=phase.learning_rate,
        )
    epochs = sum(phase.steps for phase in phases)
    save_nnunet_v1(network, output / "fold_0" / CHECKPOINT_FILE, plans=plans, trainer=TRAINER, epochs=epochs)
    logger.info("trained in %.0f s", time.monotonic() - start)


def _make_plans(phantoms: Iterator[Phantom]) -> dict[str, Any]:
    return make_plans(
        ["PET"],
        [np.concatenate([phantom.pet[phantom.truth > 0] for phantom in phantoms])],
        patch=PATCH,
        spacing=DEFAULT_SPACING,
        median_shape=DEFAULT_SHAPE,
        base_features=32,
        poolings=5,
        batch=BATCH,
        scheme="nonCT",
    )


def _sampler(plans: Plans, phantoms: Iterator[Phantom]) -> PatchSampler:
    subjects = [in_network_space(phantom, [phantom.pet], plans) for phantom in phantoms]
    return PatchSampler(subjects, PATCH, BATCH)


def is_frozen(name: str) -> bool:
    """Return whether the weight of that name stays zero."""
    return any(part in name for part in FROZEN_PARTS)


if __name__ == "__main__":
    train_checkpoint(output_folder())
