"""Training of small networks for demonstration: quick, seeded, on a CPU.

The loss is nnU-Net's, cross-entropy and soft Dice over the batch; the schedule is made for a few thousand
steps.
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
WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""
SMOOTH = 1e-5
"""Added to both sides of the Dice, so small that a batch without foreground has a Dice of 0."""
RARE = 0.002
"""About the share of foreground voxels in a patch."""
GRADIENT_NORM = 12.0
"""Longest step's gradient, as nnU-Net clips it."""
STEPS_PER_LOG_LINE = 50


def seeded(make: Callable[[], Network], seed: int) -> Network:
    """Build a network with the weights that it gives itself, from a seed."""
    torch.manual_seed(seed)
    return make()


def initialise(network: nn.Module, seed: int) -> nn.Module:
    """Give a network, which may lie on the meta device, random weights from a seed."""
    torch.manual_seed(seed)
    network.to_empty(device="cpu")
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    if callable(initialize := getattr(network, "initialize", None)):
        network.apply(initialize)
    return network


def freeze_at_zero(parameters: Iterable[nn.Parameter]) -> None:
    """Set parameters to zero and let training leave them so: they take no space in a checkpoint."""
    for parameter in parameters:
        nn.init.zeros_(parameter).requires_grad_(False)


def expect_rare_foreground(segmentation_layer: nn.Module) -> None:
    """Let an untrained network say "background" almost everywhere, which saves it hundreds of steps.

    `segmentation_layer` is the one that gives the logits. Source: Lin et al. 2017, "Focal Loss for Dense
    Object Detection", section 4.1.
    """
    parameters = dict(segmentation_layer.named_parameters())
    with torch.no_grad():
        if "bias" in parameters:
            parameters["bias"][0], parameters["bias"][1:] = 0, math.log(RARE / (1 - RARE))
        else:
            # What it sees is mostly positive.
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
    """Train in place, in bfloat16 where the operations allow it, and set the network to inference.

    The network maps float32 (B, C, …) to logits (B, K, …). `mirror_axes` are the patch's axes along which
    patches are flipped at random; `learning_rate` is the highest of the schedule. A batch whose gradient is
    not finite teaches nothing.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=WARM_UP)
    network.train()
    losses = []
    for step in range(1, steps + 1):
        images, truths = mirrored(sampler(rng), mirror_axes, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        loss = segmentation_loss(logits.float(), truths)
        optimizer.zero_grad()
        loss.backward()
        if nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM).isfinite():
            optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % STEPS_PER_LOG_LINE == 0:
            logger.info("step %d of %d: loss %.3f", step, steps, np.mean(losses[-STEPS_PER_LOG_LINE:]))
    return network.eval()


def segmentation_loss(logits: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """Cross-entropy less the mean soft Dice of the classes but the first, over the whole batch.

    `logits` are (B, K, …), `truths` the classes (B, …). Source: nnU-Net's `DC_and_CE_loss` with batch Dice.
    """
    classes = logits.shape[1]
    probabilities = logits.softmax(1)[:, 1:]
    expected = functional.one_hot(truths, classes).movedim(-1, 1)[:, 1:]
    axes = [axis for axis in range(logits.ndim) if axis != 1]
    overlap = (probabilities * expected).sum(axes)
    total = probabilities.sum(axes) + expected.sum(axes)
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return functional.cross_entropy(logits, truths) - dice.mean()


def mirrored(
    batch: Batch, axes: Sequence[int], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip patches and their truths along each of the patch's axes with an even chance."""
    images, truths = batch
    flipped = [axis for axis in axes if rng.random() < 0.5]
    images = np.flip(images, tuple(axis + 2 for axis in flipped))
    truths = np.flip(truths, tuple(axis + 1 for axis in flipped))
    return torch.from_numpy(images.copy()), torch.from_numpy(truths.astype(np.int64))
