import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.transform import resize

from common.nnunet.plans import Resampling
from common.nnunet.resample import nearest, resample, resampled_shape, separate_axis

ISOTROPIC = (1.0, 1.0, 1.0)
ANISOTROPIC = (5.0, 1.0, 1.0)


def noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [
        ((26, 20, 21), (35, 41, 39)),
        ((26, 20, 21), (9, 40, 21)),
        ((5, 3, 1), (9, 2, 4)),
        ((2, 2, 2), (7, 7, 7)),
    ],
)
def test_equals_skimage_resize(order, shape, new_shape):
    volume = noise(shape)
    expected = resize(volume.astype(float), new_shape, order, mode="edge", anti_aliasing=False)
    resampled = resample(volume, new_shape, ISOTROPIC, ISOTROPIC, Resampling(order))
    np.testing.assert_allclose(resampled, expected, atol=1e-5)
    assert resampled.dtype == np.float32


@pytest.mark.parametrize("order_z", [0, 1])
def test_coarse_axis_is_resampled_on_its_own(order_z):
    volume = noise((6, 12, 14))
    in_plane = np.stack([resize(s.astype(float), (18, 20), 3, mode="edge") for s in volume])
    z = (np.arange(15) + 0.5) * 6 / 15 - 0.5
    grid = np.stack(np.meshgrid(z, np.arange(18), np.arange(20), indexing="ij"))
    expected = map_coordinates(in_plane, grid, order=order_z, mode="nearest")
    resampled = resample(volume, (15, 18, 20), ANISOTROPIC, ISOTROPIC, Resampling(3, order_z))
    np.testing.assert_allclose(resampled, expected, atol=1e-5)


def test_no_value_leaves_the_range_of_the_input():
    step = np.zeros((8, 8, 8), np.float32)
    step[4:] = 1
    resampled = resample(step, (24, 24, 24), ISOTROPIC, ISOTROPIC, Resampling(3))
    assert resampled.min() == 0
    assert resampled.max() == 1


def test_same_shape_is_handed_through_untouched():
    volume = noise((4, 5, 6))
    assert resample(volume, (4, 5, 6), ISOTROPIC, ANISOTROPIC, Resampling(3)) is volume


@pytest.mark.parametrize(
    ("spacing", "new_spacing", "force", "axis"),
    [
        ((3, 2, 2), (1, 1, 1), None, None),
        ((3, 1, 1), (1, 1, 1), None, None),
        ((3.1, 1, 1), (1, 1, 1), None, 0),
        ((1, 1, 3.1), (1, 1, 1), None, 2),
        ((1, 1, 1), (1, 4, 1), None, 1),
        ((1, 4, 4), (1, 1, 1), None, None),
        ((1, 4, 4), (5, 1, 1), None, None),
        ((3.1, 1, 1), (1, 1, 1), False, None),
        ((2, 1, 1), (1, 1, 1), True, 0),
        ((1, 1, 1), (9, 1, 1), True, None),
    ],
)
def test_coarse_axis_is_the_one_nnunet_separates(spacing, new_spacing, force, axis):
    assert separate_axis(spacing, new_spacing, force) == axis


def test_shape_follows_the_spacing():
    assert resampled_shape((260, 200, 200), (4, 4.07, 4.07), (3, 2.035, 2.035)) == (347, 400, 400)


@pytest.mark.parametrize(("size", "new_size"), [(5, 12), (12, 5), (7, 7), (1, 4)])
def test_nearest_voxel_has_the_nearest_centre(size, new_size):
    centres = (np.arange(size) + 0.5) / size
    new_centres = (np.arange(new_size) + 0.5) / new_size
    distance = abs(centres[nearest(size, new_size)] - new_centres)
    np.testing.assert_allclose(distance, abs(centres[:, None] - new_centres).min(axis=0))


@pytest.mark.parametrize(("size", "new_size"), [(20, 77), (6, 15), (9, 4), (50, 35)])
def test_equally_near_voxels_are_rounded_as_in_nnunet(size, new_size):
    coordinates = size / new_size * (np.arange(new_size) + 0.5) - 0.5
    expected = map_coordinates(np.arange(size), [coordinates], order=0, mode="nearest")
    np.testing.assert_array_equal(nearest(size, new_size), expected)


def test_is_several_times_faster_than_skimage():
    volume, new_shape = noise((60, 60, 60)), (90, 110, 110)

    def seconds(call):
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def ours():
        return resample(volume, new_shape, ISOTROPIC, ISOTROPIC, Resampling(3))

    ours()
    fastest = min(seconds(ours) for _ in range(3))
    assert seconds(lambda: resize(volume.astype(float), new_shape, 3, mode="edge")) > 4 * fastest
