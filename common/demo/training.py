"""Fast, reproducible training of small demo networks on a CPU.

The loss is that of nnU-Net: cross-entropy and batch soft Dice. The learning-rate schedule suits a few
thousand steps.
"""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from common.demo.patches import Batch

logger = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
Sampler = Callable[[np.random.Generator], Batch]

LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
WARM_UP_FRACTION = 0.05
"""Fraction of the steps in which the learning rate increases."""
DICE_SMOOTHING = 1e-5
"""Added to numerator and denominator; so small that a batch without foreground has a Dice of about 0."""
FOREGROUND_PRIOR = 0.002
"""Approximate fraction of foreground voxels in a patch."""
MAX_GRADIENT_NORM = 12.0
"""Gradients are clipped to this norm, as in nnU-Net."""
STEPS_PER_LOG_LINE = 50


def seeded(build: Callable[[], Network], seed: int) -> Network:
    """Build a network with its own weight initialisation, reproducible by the seed."""
    torch.manual_seed(seed)
    return build()


def initialise(network: nn.Module, seed: int) -> nn.Module:
    """Initialise a network, which may be on the meta device, with weights reproducible by the seed."""
    torch.manual_seed(seed)
    network.to_empty(device="cpu")
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    if callable(initialize := getattr(network, "initialize", None)):
        network.apply(initialize)
    return network


def freeze_at_zero(parameters: Iterable[nn.Parameter]) -> None:
    """Set parameters to zero and exclude them from training; they take no space in a checkpoint."""
    for parameter in parameters:
        nn.init.zeros_(parameter).requires_grad_(False)


def expect_rare_foreground(segmentation_layer: nn.Module) -> None:
    """Initialise the layer that computes the logits so that foreground starts with a low probability.

    This saves hundreds of training steps. Source: Lin et al. 2017, "Focal Loss for Dense Object Detection",
    section 4.1.
    """
    parameters = dict(segmentation_layer.named_parameters())
    with torch.no_grad():
        if "bias" in parameters:
            parameters["bias"][0], parameters["bias"][1:] = (
                0,
                math.log(FOREGROUND_PRIOR / (1 - FOREGROUND_PRIOR)),
            )
        else:
            # The inputs of the layer are mostly positive.
            parameters["weight"][0] += 1
            parameters["weight"][1:] -= 1


def train(
    network: nn.Module,
    sampler: Sampler,
    *,
    steps: int,
    seed: int,
    mirror_axes: Sequence[int] = (),
    learning_rate: float = LEARNING_RATE,
) -> nn.Module:
    """Train a network in place, in bfloat16 where autocast allows it, and return it in evaluation mode.

    Steps whose gradient is not finite are skipped.

    Parameters
    ----------
    network
        Maps float32 patches (B, C, …) to logits (B, K, …).
    sampler
        Returns a batch of patches and labels.
    steps, seed
        Number of training steps, and seed of the patches.
    mirror_axes
        Spatial axes of the patch along which patches are randomly mirrored.
    learning_rate
        Maximum of the one-cycle schedule.

    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, steps, pct_start=WARM_UP_FRACTION
    )
    network.train()
    losses = []
    for step in range(1, steps + 1):
        images, truths = mirrored(sampler(rng), mirror_axes, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        loss = segmentation_loss(logits.float(), truths)
        optimizer.zero_grad()
        loss.backward()
        if nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM).isfinite():
            optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % STEPS_PER_LOG_LINE == 0:
            logger.info("step %d of %d: loss %.3f", step, steps, np.mean(losses[-STEPS_PER_LOG_LINE:]))
    return network.eval()


def segmentation_loss(logits: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy minus the mean soft Dice of the foreground classes over the batch.

    `logits` are (B, K, …), `truths` the classes (B, …). Source: nnU-Net's `DC_and_CE_loss` with batch Dice.
    """
    classes = logits.shape[1]
    probabilities = logits.softmax(1)[:, 1:]
    expected = functional.one_hot(truths, classes).movedim(-1, 1)[:, 1:]
    axes = [axis for axis in range(logits.ndim) if axis != 1]
    overlap = (probabilities * expected).sum(axes)
    total = probabilities.sum(axes) + expected.sum(axes)
    dice = (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)
    return functional.cross_entropy(logits, truths) - dice.mean()


def mirrored(
    batch: Batch, axes: Sequence[int], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror patches and their labels along each of these spatial axes with probability 0.5."""
    images, truths = batch
    flipped = [axis for axis in axes if rng.random() < 0.5]
    images = np.flip(images, tuple(axis + 2 for axis in flipped))
    truths = np.flip(truths, tuple(axis + 1 for axis in flipped))
    return torch.from_numpy(images.copy()), torch.from_numpy(truths.astype(np.int64))
