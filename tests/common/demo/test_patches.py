from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from common.demo.patches import PatchSampler
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.resample import Shape


@dataclass
class Numbered:
    """A subject whose voxels are all different, so that a patch tells where it was."""

    shape: Shape
    centres: Sequence[Shape] = ()

    def _numbers(self) -> NDArray[np.float32]:
        return np.arange(1, np.prod(self.shape) + 1, dtype=np.float32).reshape(self.shape)

    @property
    def truth(self) -> Volume:
        return Volume(self.shape, [ArrayChannel(self._numbers() % 2)])

    def volume(self, rng: np.random.Generator) -> Volume:
        drawn = np.full(self.shape, rng.random(), np.float32)
        return Volume(self.shape, [ArrayChannel(self._numbers()), ArrayChannel(drawn)])


def corners(subject: Numbered, patch: Shape, batches: int = 60) -> NDArray[np.intp]:
    sampler, rng = PatchSampler([subject], patch, 2), np.random.default_rng(0)
    images = np.concatenate([sampler(rng)[0] for _ in range(batches)])
    firsts = images[:, 0, 0, 0, 0].astype(int) - 1
    return np.stack(np.unravel_index(firsts, subject.shape), axis=1)


def test_patches_and_truths_come_from_the_same_place() -> None:
    sampler = PatchSampler([Numbered((9, 10, 11))], (4, 5, 6), 3)
    images, truths = sampler(np.random.default_rng(0))
    assert images.shape == (3, 2, 4, 5, 6)
    assert images.dtype == np.float32
    assert np.array_equal(images[:, 0] % 2, truths)


def test_a_seed_draws_the_same_patches_again() -> None:
    sampler = PatchSampler([Numbered((9, 10, 11)), Numbered((8, 8, 8))], (4, 5, 6), 3)
    first, second = (sampler(np.random.default_rng(7))[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_volumes_are_drawn_anew_for_each_patch() -> None:
    images, _ = PatchSampler([Numbered((9, 10, 11))], (4, 5, 6), 4)(np.random.default_rng(0))
    assert len(np.unique(images[:, 1])) == 4


def test_patches_reach_every_border() -> None:
    starts = corners(Numbered((7, 8, 9)), (4, 5, 6))
    assert starts.min(axis=0).tolist() == [0, 0, 0]
    assert starts.max(axis=0).tolist() == [3, 3, 3]


def test_most_patches_hold_a_centre() -> None:
    centre = (30, 4, 30)
    starts = corners(Numbered((40, 40, 40), [centre]), (8, 8, 8))
    holds = np.all((starts <= centre) & (np.array(centre) < starts + 8), axis=1)
    assert 0.5 < holds.mean() < 0.75


@pytest.mark.parametrize("centres", [(), [(1, 1, 1)]])
def test_a_volume_smaller_than_the_patch_is_padded_on_both_sides(centres: Sequence[Shape]) -> None:
    sampler = PatchSampler([Numbered((2, 9, 9), centres)], (6, 4, 4), 8)
    images, truths = sampler(np.random.default_rng(0))
    filled = (images[:, 0] > 0).any(axis=(2, 3))
    assert np.array_equal(filled, np.tile([0, 0, 1, 1, 0, 0], (8, 1)))
    assert not truths[:, :2].any()
