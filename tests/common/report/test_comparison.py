import numpy as np
import pytest

from common.geometry import Geometry
from common.report.comparison import Comparison, compare_lesions
from common.report.lesions import lesions_of
from tests.support.platform import IDENTITY

GRID = Geometry((20, 10, 10), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), IDENTITY)
VOXEL = 0.008


def compared(*boxes: tuple[slice, slice], truth: tuple[slice, ...] = ()) -> Comparison:
    """A mask of bars, each from slices of x and y, beside a truth of bars at y 2 to 4."""
    mask, true = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    for x, y in boxes:
        mask[2:4, y, x] = True
    for x in truth:
        true[2:4, 2:4, x] = True
    pet = np.ones(GRID.shape, np.float32)
    lesions, numbers = lesions_of(mask, pet, GRID)
    return compare_lesions(lesions, numbers, true, pet, GRID)


def test_lesions_are_found_missed_and_false() -> None:
    result = compared(
        (slice(3, 5), slice(2, 4)), (slice(0, 8), slice(7, 9)), truth=(slice(0, 4), slice(10, 13))
    )
    assert [lesion.volume for lesion in result.true] == pytest.approx([16 * VOXEL, 12 * VOXEL])
    assert result.found == {1}
    assert [lesion.number for lesion in result.missed] == [2]
    assert result.false == {1}  # the larger of the mask's two
    assert result.metrics.false_negative == pytest.approx(12 * VOXEL)
    assert result.metrics.false_positive == pytest.approx(32 * VOXEL)


def test_without_a_lesion_in_the_truth_all_are_false() -> None:
    result = compared((slice(0, 2), slice(2, 4)))
    assert not result.true
    assert not result.found
    assert result.false == {1}


def test_an_empty_mask_misses_everything() -> None:
    result = compared(truth=(slice(0, 4),))
    assert (len(result.missed), result.false) == (1, frozenset())
