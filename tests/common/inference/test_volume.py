import numpy as np
import pytest

from common.inference.volume import ArrayChannel, Volume


@pytest.mark.parametrize("start", [(0, 0, 0), (-2, 1, 3), (2, -1, -4), (3, 3, 3)])
def test_tile_is_zero_outside_the_volume(start):
    arrays = np.random.default_rng(0).standard_normal((2, 5, 6, 7)).astype(np.float32)
    volume = Volume((5, 6, 7), [ArrayChannel(array) for array in arrays])
    patch = (4, 5, 6)
    padded = np.pad(arrays, ((0, 0), (9, 9), (9, 9), (9, 9)))
    window = tuple(slice(9 + s, 9 + s + size) for s, size in zip(start, patch, strict=True))
    np.testing.assert_array_equal(volume.tile(start, patch), padded[(slice(None), *window)])
