import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.inference.tiles import TileGrid, gaussian, tile_starts


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
    mean = grid.normalise(total, passes=6)
    assert mean.shape == shape
    np.testing.assert_allclose(mean, image[inside], rtol=1e-4)


def test_odd_padding_goes_behind_the_volume():
    grid = TileGrid((5, 8, 12), (8, 8, 8))
    assert grid.padded_shape == (8, 8, 12)
    assert grid.pad_before == (1, 0, 0)


def test_length_is_the_number_of_tiles():
    grid = TileGrid((20, 30, 17), (8, 12, 10))
    assert len(grid) == len(list(grid))


@pytest.mark.parametrize("rows", [1, 2, 4, None])
@pytest.mark.parametrize("shape", [(40, 30, 17), (5, 30, 9)])
def test_bands_hold_every_tile_once_and_finish_every_slice_once(shape, rows):
    grid = TileGrid(shape, (8, 12, 10))
    bands = grid.bands(rows)
    assert [start for band in bands for start in grid.tiles(band)] == list(grid)
    assert [band.first for band in bands] == [0, *(band.finished for band in bands[:-1])]
    assert bands[-1].finished == bands[-1].stop == grid.padded_shape[0]
    assert all(start[0] >= band.first for band in bands for start in grid.tiles(band))


@pytest.mark.parametrize("shape", [(40, 30, 17), (5, 30, 9)])
def test_mean_is_the_same_slab_by_slab(shape):
    grid = TileGrid(shape, (8, 12, 10))
    total = np.random.default_rng(0).standard_normal((2, *grid.padded_shape)).astype(np.float32)
    slabs = [
        grid.normalise(total[:, first : first + 3].copy(), 4, first)
        for first in range(0, grid.padded_shape[0], 3)
    ]
    np.testing.assert_array_equal(np.concatenate(slabs, axis=1), grid.normalise(total, 4))


def test_unfinished_slices_come_to_the_front_without_a_copy_of_all():
    band, *_ = TileGrid((96, 64, 64), (32, 32, 32)).bands(1)
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
