"""The training of a demo network of nnU-Net v2, to a folder as its trainer leaves it."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.demo.checkpoints import save_nnunet_v2
from common.demo.patches import PatchSampler, Subject
from common.demo.plans_v2 import CONFIGURATION, Design, write_json
from common.demo.training import expect_rare_foreground, initialise, train
from common.export.checkpoints.v2.architecture import read_architecture
from common.export.checkpoints.v2.plans import read_configuration, read_plans
from common.nnunet.plans import Plans

logger = logging.getLogger(__name__)


def train_folder(
    output: Path,
    design: Design,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    prepare: Callable[[Plans], Sequence[Subject]],
    *,
    channels: int,
    classes: int,
    trainer: str,
    mirror_axes: tuple[int, ...],
    steps: int,
    seed: int,
) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` into `output`.

    Parameters
    ----------
    output
        Folder to write.
    design
        What the plans were made from.
    plans, dataset
        Contents of the two JSON files.
    prepare
        Returns the training subjects in network space, preprocessed as the plans say.
    channels, classes
        Of the network: input channels, and classes with the background.
    trainer
        Name of nnU-Net's trainer class that the checkpoint gives.
    mirror_axes
        Axes of the patch (z, y, x) along which patches are flipped at random.
    steps, seed
        Of the training.

    """
    start = time.monotonic()
    write_json(plans, output / "plans.json")
    write_json(dataset, output / "dataset.json")
    subjects = prepare(read_plans(output, CONFIGURATION))
    architecture = read_architecture(read_configuration(output, CONFIGURATION), output / "plans.json")
    network = initialise(architecture.build(channels, classes), seed)
    expect_rare_foreground(network.get_submodule(design.segmentation_layer))
    logger.info("%d phantoms prepared in %.0f s", len(subjects), time.monotonic() - start)
    sampler = PatchSampler(subjects, design.patch, design.batch)
    train(network, sampler, steps=steps, seed=seed, mirror_axes=mirror_axes)
    save_nnunet_v2(
        network,
        output / "fold_0" / "checkpoint_final.pth",
        plans=plans,
        dataset=dataset,
        configuration=CONFIGURATION,
        trainer=trainer,
        mirror_axes=mirror_axes,
        epochs=steps,
    )
    logger.info("trained in %.0f s", time.monotonic() - start)
