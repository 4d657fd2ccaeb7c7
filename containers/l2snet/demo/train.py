"""Trains the demo checkpoint: `python -m containers.l2snet.demo.train --output DIR`.

Everything comes from seeds. The seeds of the training's phantoms start far from those that people try.
"""

import argparse
import logging
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from common.export.demo_patches import Batch, PatchSampler
from common.export.demo_training import expect_rare_foreground, initialise, train
from common.export.nnunet_v1 import GenericUNet
from common.nnunet.plans_v1 import MIRROR_AXES
from common.nnunet.resample import resampled_shape
from common.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, Phantom, make_phantom
from containers.l2snet.demo.plans import PATCH, SPACING, make_plans
from containers.l2snet.demo.shallow import ShallowLocaliser, whole_state
from containers.l2snet.demo.subjects import in_frames, in_network_space
from containers.l2snet.network import CHECKPOINT_FILE, read_plans

logger = logging.getLogger(__name__)

SUBJECTS = 32
FIRST_SEED = 2_000_000
LESIONS = 8
"""In every phantom that has room for as many. Inflamed foci would look the same, so there are none."""
SHAPES = (DEFAULT_SHAPE, (*DEFAULT_SHAPE[:2], 32))
"""Of the phantoms in turn: whole ones and their middles, on which tests are quick."""
STEPS_2D, BATCH_2D, PATCH_2D = 300, 4, (1, 160, 192)
STEPS_3D, BATCH_3D = 2000, 2


def main() -> None:
    """Read the command line, train, write the folder."""
    parser = argparse.ArgumentParser(description="Train the demo checkpoint on phantoms.")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to write, as the trainings leave it"
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    train_checkpoint(arguments.output)


def train_checkpoint(
    output: Path, steps_2d: int = STEPS_2D, steps_3d: int = STEPS_3D, subjects: int = SUBJECTS
) -> None:
    """Write `plans.pkl` and, in `fold_0`, the checkpoints of both networks into `output`."""
    start = time.monotonic()
    fold = output / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    _train_localisation(fold / f"epoch_{steps_2d:03d}.pth", steps_2d, subjects)
    logger.info("2D network trained in %.0f s", time.monotonic() - start)
    _write_plans(output / "plans.pkl", subjects)
    _train_segmentation(output, fold / CHECKPOINT_FILE, steps_3d, subjects)
    logger.info("both trained in %.0f s", time.monotonic() - start)


def _phantoms(subjects: int) -> Iterator[Phantom]:
    for index in range(subjects):
        shape = SHAPES[index % len(SHAPES)]
        yield make_phantom(FIRST_SEED + index, shape, lesions=LESIONS, inflammations=0)


def _train_localisation(path: Path, steps: int, subjects: int) -> None:
    sampler = PatchSampler([in_frames(phantom) for phantom in _phantoms(subjects)], PATCH_2D, BATCH_2D)

    def slices(rng: np.random.Generator) -> Batch:
        images, truths = sampler(rng)
        return images[:, :, 0], truths[:, 0]

    network = ShallowLocaliser()
    initialise(network, FIRST_SEED)
    expect_rare_foreground(network.segmentation_head[0])
    torch.save(whole_state(train(network, slices, steps=steps, seed=FIRST_SEED)), path)


def _write_plans(path: Path, subjects: int) -> None:
    voxels = [
        (phantom.pet[phantom.truth > 0], phantom.ct[phantom.truth > 0]) for phantom in _phantoms(subjects)
    ]
    foregrounds = [np.concatenate(intensities) for intensities in zip(*voxels, strict=True)]
    shape = resampled_shape(DEFAULT_SHAPE, DEFAULT_SPACING, SPACING)
    path.write_bytes(pickle.dumps(make_plans(foregrounds, shape)))


def _train_segmentation(folder: Path, path: Path, steps: int, subjects: int) -> None:
    plans, make = read_plans(folder)
    sampler = PatchSampler(
        [in_network_space(phantom, plans) for phantom in _phantoms(subjects)], PATCH, BATCH_3D
    )
    network = GenericUNet(make)
    initialise(network, FIRST_SEED)
    _expect_rare_foreground(network)
    train(network, sampler, steps=steps, seed=FIRST_SEED, mirror_axes=MIRROR_AXES)
    checkpoint = {
        "epoch": steps,
        "state_dict": network.state_dict(),
        "optimizer_state_dict": None,
        "lr_scheduler_state_dict": None,
        "plot_stuff": None,
        "best_stuff": None,
    }
    torch.save(checkpoint, path)


def _expect_rare_foreground(network: GenericUNet) -> None:
    """As its namesake, but nnU-Net v1's segmentation layer has no bias; what it sees is mostly positive."""
    with torch.no_grad():
        for background_and_lesion in network.seg_outputs.parameters():
            background_and_lesion.add_(torch.tensor([1, -1]).reshape(2, 1, 1, 1, 1))


if __name__ == "__main__":
    main()
