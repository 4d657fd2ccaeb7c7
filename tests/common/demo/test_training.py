import math

import numpy as np
import pytest
import torch
from torch import nn

from common.demo.patches import Batch
from common.demo.training import (
    expect_rare_foreground,
    freeze_at_zero,
    initialise,
    mirrored,
    seeded,
    segmentation_loss,
    train,
)


def small_network() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4, affine=True), nn.ReLU(), nn.Conv3d(4, 2, 1)
        )


def bright_boxes(rng: np.random.Generator) -> Batch:
    truths = np.zeros((2, 12, 12, 12), np.uint8)
    for truth, (z, y, x) in zip(truths, rng.integers(0, 8, (2, 3)), strict=True):
        truth[z : z + 4, y : y + 4, x : x + 4] = 1
    images = 4 * truths[:, None] + rng.standard_normal((2, 1, 12, 12, 12))
    return images.astype(np.float32), truths


def trained(steps: int, seed: int = 0) -> nn.Module:
    return train(initialise(small_network(), 0), bright_boxes, steps=steps, seed=seed, mirror_axes=(0, 2))


def dice(network: nn.Module) -> float:
    images, truths = bright_boxes(np.random.default_rng(99))
    with torch.no_grad():
        masks = network(torch.from_numpy(images)).argmax(1).numpy()
    return 2 * float((masks * truths).sum()) / float(masks.sum() + truths.sum())


def test_training_teaches_what_the_patches_show() -> None:
    network = trained(80)
    assert dice(network) > 0.5
    assert dice(network) > dice(initialise(small_network(), 0)) + 0.3
    assert not network.training


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_a_batch_whose_gradient_is_not_finite_teaches_nothing() -> None:
    def broken(rng: np.random.Generator) -> Batch:
        images, truths = bright_boxes(rng)
        return np.where(truths[:, None] == 1, np.float32(np.nan), images), truths

    network = train(initialise(small_network(), 0), broken, steps=3, seed=0)
    untrained = initialise(small_network(), 0)
    for one, two in zip(network.parameters(), untrained.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_seed_makes_the_same_weights_again() -> None:
    first, second, third = trained(30), trained(30), trained(30, seed=1)
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(next(first.parameters()), next(third.parameters()))


def test_initial_weights_are_finite_and_come_from_the_seed() -> None:
    one, two, other = (initialise(small_network(), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])
    assert torch.equal(one["1.weight"], torch.ones(4))


def test_rare_foreground_is_what_an_untrained_network_then_says() -> None:
    network = initialise(small_network(), 0)
    expect_rare_foreground(network.get_submodule("3"))
    with torch.no_grad():
        foreground = network(torch.randn(1, 1, 12, 12, 12)).softmax(1)[:, 1]
    assert 0.0002 < foreground.median() < 0.02


def test_foreground_is_rare_without_a_bias_too() -> None:
    layer = nn.Conv3d(8, 2, 1, bias=False)
    expect_rare_foreground(layer)
    with torch.no_grad():
        foreground = layer(torch.rand(1, 8, 12, 12, 12)).softmax(1)[:, 1]
    assert foreground.median() < 0.02


def test_frozen_weights_are_zero_after_training_and_others_are_not() -> None:
    network = initialise(small_network(), 0)
    frozen, free = network.get_submodule("0"), network.get_submodule("3")
    freeze_at_zero(frozen.parameters())
    train(network, bright_boxes, steps=3, seed=0)
    assert not any(parameter.any() for parameter in frozen.parameters())
    assert all(parameter.any() for parameter in free.parameters())


def test_a_seed_gives_the_same_network_again() -> None:
    one, two, other = (seeded(lambda: nn.Linear(3, 3), seed).weight for seed in (5, 5, 6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_loss_is_cross_entropy_less_dice() -> None:
    probability = torch.tensor([0.9, 0.2, 0.6, 0.4])
    logits = torch.stack([torch.zeros(4), torch.logit(probability)])[None]
    truths = torch.tensor([[1, 0, 1, 0]])
    cross_entropy = -sum(math.log(p) for p in (0.9, 0.8, 0.6, 0.6)) / 4
    dice = 2 * 1.5 / (2.1 + 2)
    assert segmentation_loss(logits, truths).item() == pytest.approx(cross_entropy - dice, abs=1e-5)


def test_patches_and_truths_are_mirrored_together() -> None:
    images = np.random.default_rng(0).random((2, 3, 4, 5, 6)).astype(np.float32)
    truths = (images[:, 0] > 0.5).astype(np.uint8)
    seen = set()
    for seed in range(20):
        flipped, flipped_truths = mirrored((images, truths), (1, 2), np.random.default_rng(seed))
        assert torch.equal(flipped_truths, (flipped[:, 0] > 0.5).long())
        seen |= {
            axes
            for axes in ((), (3,), (4,), (3, 4), (2,))
            if np.array_equal(np.flip(images, axes), flipped.numpy())
        }
    assert seen == {(), (3,), (4,), (3, 4)}
