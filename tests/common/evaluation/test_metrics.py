import math

import numpy as np
import pytest
from numpy.typing import NDArray

from common.evaluation.metrics import compare

VOXEL = 0.5
Mask = NDArray[np.bool_]


def mask(*boxes: tuple[slice, slice, slice]) -> Mask:
    volume = np.zeros((10, 12, 14), bool)
    for box in boxes:
        volume[box] = True
    return volume


LESION = np.s_[1:4, 1:4, 1:4]
OTHER_LESION = np.s_[6:8, 6:8, 6:9]
SHIFTED_LESION = np.s_[2:5, 1:4, 1:4]


def test_a_perfect_mask_has_no_fault() -> None:
    metrics = compare(mask(LESION), mask(LESION), VOXEL)
    assert metrics.dice == 1
    assert metrics.false_positive == metrics.false_negative == metrics.volume_difference == 0
    assert metrics.relative_volume_difference == 0
    assert metrics.truth == 27 * VOXEL


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    metrics = compare(mask(LESION), mask(SHIFTED_LESION), VOXEL)
    assert metrics.dice == pytest.approx(2 * 18 / 54)
    assert metrics.volume_difference == 0


def test_only_components_that_touch_no_lesion_are_false_positives() -> None:
    metrics = compare(mask(LESION), mask(SHIFTED_LESION, OTHER_LESION), VOXEL)
    assert metrics.false_positive == 12 * VOXEL
    assert metrics.false_negative == 0
    assert metrics.volume_difference == 12 * VOXEL
    assert metrics.relative_volume_difference == pytest.approx(12 / 27)


def test_only_lesions_missed_altogether_are_false_negatives() -> None:
    metrics = compare(mask(LESION, OTHER_LESION), mask(SHIFTED_LESION), VOXEL)
    assert metrics.false_negative == 12 * VOXEL
    assert metrics.false_positive == 0
    assert metrics.volume_difference == -12 * VOXEL


def test_components_hang_together_by_edges_but_not_by_corners() -> None:
    truth = mask(np.s_[2:3, 2:3, 2:3])
    by_edge = mask(np.s_[2:3, 2:3, 2:3], np.s_[3:4, 3:4, 2:3])
    by_corner = mask(np.s_[2:3, 2:3, 2:3], np.s_[3:4, 3:4, 3:4])
    assert compare(truth, by_edge, VOXEL).false_positive == 0
    assert compare(truth, by_corner, VOXEL).false_positive == VOXEL


def test_a_healthy_patient_has_no_dice_but_false_positives() -> None:
    metrics = compare(mask(), mask(OTHER_LESION), VOXEL)
    assert math.isnan(metrics.dice)
    assert math.isnan(metrics.relative_volume_difference)
    assert metrics.false_positive == metrics.volume_difference == 12 * VOXEL


def test_an_empty_mask_misses_everything() -> None:
    metrics = compare(mask(LESION, OTHER_LESION), mask(), VOXEL)
    assert metrics.dice == 0
    assert metrics.false_negative == metrics.truth == 39 * VOXEL
    assert metrics.relative_volume_difference == 1


def test_two_empty_masks_agree() -> None:
    metrics = compare(mask(), mask(), VOXEL)
    assert math.isnan(metrics.dice)
    assert metrics.false_positive == metrics.false_negative == metrics.volume_difference == 0


@pytest.mark.parametrize("seed", range(5))
def test_mask_and_truth_swapped_swap_the_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, 8, 9, 10)) < 0.04
    one, other = compare(truth, prediction, VOXEL), compare(prediction, truth, VOXEL)
    assert one.dice == other.dice
    assert (one.false_positive, one.false_negative) == (other.false_negative, other.false_positive)
    assert one.volume_difference == -other.volume_difference
