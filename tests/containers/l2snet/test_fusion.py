import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

from containers.l2snet.fusion import fuse
from tests.support import golden_data

Map = NDArray[np.float32]
Box = tuple[slice | int, slice | int, slice | int]

SHAPE = (24, 30, 40)
LARGE: Box = np.s_[2:9, 2:9, 2:9]
"""A lesion of 343 voxels, so that the case is not taken for a healthy one."""
SMALL: Box = np.s_[14:18, 14:18, 14:19]
"""80 voxels."""


def maps() -> tuple[Map, Map]:
    """Segmentation and localisation of one lesion that both are sure of."""
    segmentation, localisation = np.zeros((2, *SHAPE), np.float32)
    segmentation[LARGE] = localisation[LARGE] = 0.95
    return segmentation, localisation


def fill(volume: Map, box: Box, count: int, value: float) -> None:
    """Set the first voxels of a box."""
    region = volume[box].ravel()
    region[:count] = value
    volume[box] = region.reshape(volume[box].shape)


def by_loop(segmentation: Map, localisation: Map) -> NDArray[np.uint8]:
    """The rules as they are published, one component after the other against the whole volume."""

    def components(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
        labels, count = label(mask, generate_binary_structure(3, 2))
        return [labels == number + 1 for number in range(count)]

    result = np.zeros(segmentation.shape, bool)
    high, low, cue = segmentation > 0.9, segmentation > 0.5, localisation > 0.5
    segmented, localised = components(low), components(cue)
    largest_high = max((c.sum() for c in components(high)), default=0)
    largest_low = max((c.sum() for c in segmented), default=0)
    if largest_high < 50 and largest_low < 150:
        return result.view(np.uint8)
    for component in segmented:
        peak = component & (segmentation == segmentation[component].max())
        overlap = (component & high).sum()
        if overlap < 20 or not (component & cue).any():
            result |= peak
        elif component.sum() / overlap > 2.25:
            result |= component & high
        else:
            result |= component
    sizes = sorted([0, *(c.sum() for c in localised)], reverse=True)
    limit = sizes[len(segmented) + 3] if len(localised) >= len(segmented) + 3 else 35
    for component in localised:
        highest = segmentation[component].max()
        if (component & result).any():
            continue
        if highest > 0.10 or (component.sum() > limit and highest >= 1e-5):
            result |= component & (segmentation == highest)
    return result.view(np.uint8)


def random_maps(seed: int, shape: tuple[int, int, int], count: int) -> tuple[Map, Map]:
    """Blobs of many sizes and heights, some of which both maps show."""
    rng = np.random.default_rng(seed)
    segmentation, localisation = np.zeros((2, *shape), np.float32)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype(np.float32)
    for _ in range(count):
        centre, radius = rng.uniform(0, shape), rng.uniform(1, 5)
        blob = np.exp(-(((grid - centre) / radius) ** 2).sum(-1)).astype(np.float32)
        np.maximum(
            segmentation, blob * np.float32(rng.choice([0, 1e-6, 0.05, 0.3, 0.7, 1])), out=segmentation
        )
        np.maximum(localisation, blob * np.float32(rng.choice([0, 0.9])), out=localisation)
    return segmentation, localisation


@pytest.mark.parametrize("case", range(6))
def test_the_mask_is_the_originals_voxel_for_voxel(case: int) -> None:
    golden = golden_data.expected("l2snet")
    mask = fuse(golden[f"fusion{case}_segment"], golden[f"fusion{case}_localise"])
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, golden[f"fusion{case}_result"])


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_rules_applied_one_by_one(seed: int) -> None:
    segmentation, localisation = random_maps(seed, (24, 28, 32), 25)
    np.testing.assert_array_equal(fuse(segmentation, localisation), by_loop(segmentation, localisation))


def test_nothing_anywhere_is_an_empty_mask() -> None:
    empty = np.zeros(SHAPE, np.float32)
    assert not fuse(empty, empty).any()


@pytest.mark.parametrize(
    ("high", "low", "found"), [(49, 149, False), (50, 149, True), (49, 150, True), (0, 150, True)]
)
def test_a_case_without_a_large_component_is_empty(high: int, low: int, found: bool) -> None:
    segmentation, localisation = np.zeros((2, 1, 1, 200), np.float32)
    segmentation[0, 0, :low] = 0.6
    segmentation[0, 0, :high] = 0.95
    localisation[segmentation > 0.5] = 0.9
    assert fuse(segmentation, localisation).any() == found


def test_a_component_without_cue_shrinks_to_its_highest_voxels() -> None:
    segmentation, localisation = maps()
    segmentation[SMALL] = 0.95
    segmentation[15, 15, 15:17] = 0.99
    mask = fuse(segmentation, localisation)
    assert mask[LARGE].all()
    assert np.argwhere(mask[SMALL]).tolist() == [[1, 1, 1], [1, 1, 2]]


@pytest.mark.parametrize(("high", "kept"), [(19, 19), (20, 20), (35, 35), (36, 80)])
def test_a_component_shrinks_to_its_high_voxels_where_they_are_few(high: int, kept: int) -> None:
    segmentation, localisation = maps()
    segmentation[SMALL] = 0.6
    fill(segmentation, SMALL, high, 0.95)
    localisation[SMALL] = 0.9
    assert fuse(segmentation, localisation)[SMALL].sum() == kept


@pytest.mark.parametrize(
    ("peak", "size", "added"),
    [(0.2, 4, True), (0.1, 35, False), (0.1, 36, True), (1e-5, 36, True), (9e-6, 80, False)],
)
def test_a_localised_component_that_the_segmentation_missed(peak: float, size: int, added: bool) -> None:
    segmentation, localisation = maps()
    fill(localisation, SMALL, size, 0.9)
    segmentation[14, 14, 14] = peak
    mask = fuse(segmentation, localisation)
    assert np.argwhere(mask[SMALL]).tolist() == ([[0, 0, 0]] if added else [])


def test_with_many_more_components_localised_the_limit_is_the_size_of_one() -> None:
    segmentation, localisation = maps()
    for row, size in enumerate([60, 50, 45, 40]):
        fill(localisation, np.s_[14 + 2 * row, 2:6, 2:17], size, 0.9)
        segmentation[14 + 2 * row, 2, 2] = 0.05
    mask = fuse(segmentation, localisation)
    assert [bool(mask[14 + 2 * row, 2, 2]) for row in range(4)] == [True, True, True, False]
    np.testing.assert_array_equal(mask, by_loop(segmentation, localisation))


def test_takes_a_fraction_of_the_loops_time() -> None:
    segmentation, localisation = random_maps(1, (60, 80, 80), 60)

    def seconds(function: Callable[[Map, Map], object]) -> float:
        start = time.perf_counter()
        function(segmentation, localisation)
        return time.perf_counter() - start

    assert min(seconds(fuse) for _ in range(3)) < seconds(by_loop) / 5
