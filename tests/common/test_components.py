import numpy as np
import pytest
from scipy.ndimage import generate_binary_structure, label

from common.components import Components


@pytest.mark.parametrize("seed", range(50))
def test_components_are_scipys_with_18_neighbours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 12, 3)) < rng.uniform(0, 0.7)
    components = Components.of(mask)
    labels, count = label(mask, generate_binary_structure(3, 2))
    assert len(components) == count
    pairs = np.unique(np.stack([labels.ravel()[components.voxels], components.labels]), axis=1)
    assert pairs.shape == (2, count)
    np.testing.assert_array_equal(components.sizes, np.bincount(components.labels, minlength=count))


@pytest.mark.parametrize(
    ("offset", "together"),
    [
        ((0, 0, 1), True),
        ((0, 1, 1), True),
        ((1, -1, 0), True),
        ((1, 0, -1), True),
        ((1, 1, 1), False),
        ((0, 0, 2), False),
    ],
)
def test_faces_and_edges_connect_but_corners_do_not(offset: tuple[int, int, int], together: bool) -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[2, 2, 2] = True
    mask[tuple(np.add((2, 2, 2), offset))] = True
    assert len(Components.of(mask)) == (1 if together else 2)


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next() -> None:
    mask = np.zeros((2, 2, 4), bool)
    mask[0, 0, 3] = mask[0, 1, 0] = mask[1, 0, 0] = mask[1, 1, 2] = True
    assert len(Components.of(mask)) == 3


def test_flags_are_counted_and_values_compared_per_component() -> None:
    mask = np.array([[[1, 1, 0, 1]]], bool)
    components = Components.of(mask)
    assert components.count(np.array([True, False, True])).tolist() == [1, 1]
    assert components.peak(np.array([1, 3, 2], np.float32)).tolist() == [3, 2]
    assert components.largest == 2


def test_an_empty_mask_has_no_components() -> None:
    components = Components.of(np.zeros((3, 4, 5), bool))
    assert len(components) == 0
    assert components.largest == 0
    assert components.peak(np.zeros(0, np.float32)).size == 0
