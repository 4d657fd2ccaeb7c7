import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.inference.tiles import TileGrid, deepest, gaussian, tile_starts


@pytest.mark.parametrize(
    ("size", "tile", "starts"),
    [(64, 64, [0]), (110, 64, [0, 23, 46]), (65, 64, [0, 1]), (96, 64, [0, 32]), (97, 64, [0, 16, 33])],
)
def test_tiles_are_as_few_as_half_steps_allow_and_evenly_spread(size, tile, starts):
    assert tile_starts(size, tile) == starts


@pytest.mark.parametrize("size", range(32, 200, 7))
def test_tiles_cover_the_axis_in_steps_of_at_most_half_a_tile(size):
    starts = tile_starts(size, 32)
    assert starts[0] == 0
    assert starts[-1] == size - 32
    assert max(np.diff(starts), default=0) <= 16


@pytest.mark.parametrize("patch", [(8, 8, 8), (5, 12, 7)])
def test_weights_are_a_filtered_impulse(patch):
    impulse = np.zeros(patch)
    impulse[tuple(size // 2 for size in patch)] = 1
    expected = gaussian_filter(impulse, [size / 8 for size in patch], mode="constant")
    np.testing.assert_allclose(TileGrid(patch, patch).weights(), expected / expected.max(), rtol=1e-5)


def everywhere(grid, passes):
    return np.full([*map(len, grid.starts)], passes)


@pytest.mark.parametrize("size", [4, 9, 32, 96])
def test_every_voxel_of_a_tile_counts(size):
    assert gaussian(size).min() > 0


@pytest.mark.parametrize("shape", [(20, 30, 17), (5, 30, 9)])
def test_mean_over_tiles_undoes_the_weights(shape):
    grid = TileGrid(shape, (8, 12, 10))
    image = np.random.default_rng(0).standard_normal(grid.padded_shape).astype(np.float32)
    total = np.zeros(grid.padded_shape, np.float32)
    for start in grid:
        total[grid.window(start)] += 6 * grid.weights() * image[grid.window(start)]
    inside = tuple(slice(b, b + s) for b, s in zip(grid.pad_before, shape, strict=True))
    mean = grid.normalise(total, everywhere(grid, 6))
    assert mean.shape == shape
    np.testing.assert_allclose(mean, image[inside], rtol=1e-4)


def test_odd_padding_goes_behind_the_volume():
    grid = TileGrid((5, 8, 12), (8, 8, 8))
    assert grid.padded_shape == (8, 8, 12)
    assert grid.pad_before == (1, 0, 0)


def test_length_is_the_number_of_tiles():
    grid = TileGrid((20, 30, 17), (8, 12, 10))
    assert len(grid) == len(list(grid))


@pytest.mark.parametrize("max_slices", [1, 8, 13, 20, None])
@pytest.mark.parametrize("shape", [(40, 30, 17), (5, 30, 9)])
def test_bands_hold_every_tile_once_and_finish_every_slice_once(shape, max_slices):
    grid = TileGrid(shape, (8, 12, 10))
    bands = grid.bands(max_slices)
    assert [start for band in bands for start in grid.tiles(band)] == list(grid)
    assert [band.first for band in bands] == [0, *(band.finished for band in bands[:-1])]
    assert bands[-1].finished == bands[-1].stop == grid.padded_shape[0]
    assert all(start[0] >= band.first for band in bands for start in grid.tiles(band))


@pytest.mark.parametrize("shape", [(40, 30, 17), (5, 30, 9)])
def test_mean_is_the_same_slab_by_slab(shape):
    grid = TileGrid(shape, (8, 12, 10))
    total = np.random.default_rng(0).standard_normal((2, *grid.padded_shape)).astype(np.float32)
    slabs = [
        grid.normalise(total[:, first : first + 3].copy(), everywhere(grid, 4), first)
        for first in range(0, grid.padded_shape[0], 3)
    ]
    np.testing.assert_array_equal(np.concatenate(slabs, axis=1), grid.normalise(total, everywhere(grid, 4)))


def test_unfinished_slices_come_to_the_front_without_a_copy_of_all():
    band, *_ = TileGrid((96, 64, 64), (32, 32, 32)).bands(32)
    sums = np.random.default_rng(0).standard_normal((8, 32, 64, 64)).astype(np.float32)
    before = sums.copy()
    tracemalloc.start()
    band.drop_finished(sums)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    finished = band.finished - band.first
    np.testing.assert_array_equal(sums[:, : 32 - finished], before[:, finished:])
    assert not sums[:, 32 - finished :].any()
    assert taken < 0.1 * sums.nbytes


@pytest.mark.parametrize("max_slices", [8, 12, 16, 20, 30, 100])
def test_bands_are_the_fewest_that_keep_within_so_many_slices(max_slices):
    grid = TileGrid((100, 30, 40), (16, 16, 16))
    bands = grid.bands(max_slices)
    assert deepest(bands) <= max(16, max_slices)
    fewer = [other for slices in range(16, 101) if len(other := grid.bands(slices)) < len(bands)]
    assert all(deepest(other) > max_slices for other in fewer)


def test_mean_is_over_the_tiles_that_are_in_the_sums():
    grid = TileGrid((20, 30, 17), (8, 12, 10))
    image = np.random.default_rng(0).standard_normal(grid.padded_shape).astype(np.float32)
    passes = np.random.default_rng(1).integers(0, 4, [*map(len, grid.starts)])
    passes[:2, :2, :2] = 0
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for start, count in zip(grid, passes.flat, strict=True):
        total[grid.window(start)] += count * grid.weights() * image[grid.window(start)]
        weights[grid.window(start)] += count * grid.weights()
    mean = grid.normalise(total, passes)
    np.testing.assert_allclose(mean[weights > 0], image[weights > 0], rtol=1e-4)
    assert not mean[weights == 0].any()
    assert 0 < np.mean(weights == 0) < 0.5


def test_even_passes_give_the_mean_that_they_give_tile_by_tile():
    grid = TileGrid((20, 30, 17), (8, 12, 10))
    total = np.random.default_rng(0).standard_normal(grid.padded_shape).astype(np.float32)
    even = everywhere(grid, 3)
    nearly = everywhere(grid, 3)
    nearly[-1, -1, -1] = 4
    corner = (slice(0, 10), slice(0, 15), slice(0, 7))
    one, other = (grid.normalise(total.copy(), passes)[corner] for passes in (even, nearly))
    np.testing.assert_allclose(one, other, rtol=1e-5)
