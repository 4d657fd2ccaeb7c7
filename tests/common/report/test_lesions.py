import numpy as np
import pytest
from numpy.typing import NDArray

from common.geometry import Geometry
from common.report.lesions import PEAK_RADIUS, lesions_of, totals_of
from tests.support.platform import IDENTITY, OBLIQUE

FINE = Geometry((60, 50, 40), (1.0, 1.5, 2.0), (-20.0, 10.0, 300.0), IDENTITY)


def ball(geometry: Geometry, centre: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    """A ball around a voxel (x, y, z), its radius in mm."""
    axes = [np.arange(size) * edge for size, edge in zip(geometry.size, geometry.spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    middle = [index * edge for index, edge in zip(centre, geometry.spacing, strict=True)]
    inside = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 <= radius**2
    return np.ascontiguousarray(inside.transpose())


@pytest.mark.parametrize("direction", [IDENTITY, OBLIQUE], ids=["axial", "oblique"])
def test_a_ball_of_one_intensity_is_measured(direction: tuple[float, ...]) -> None:
    grid = Geometry(FINE.size, FINE.spacing, FINE.origin, direction)
    mask = ball(grid, (30, 25, 20), 12)
    (lesion,), numbers = lesions_of(mask, np.where(mask, np.float32(6), np.float32(1)), grid)
    np.testing.assert_array_equal(numbers, mask)
    assert lesion.volume == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.03)
    assert lesion.volume == pytest.approx(mask.sum() * 3 / 1000)
    assert (lesion.suv_max, lesion.suv_mean) == (6, 6)
    assert lesion.suv_peak == pytest.approx(6)
    assert lesion.tlg == pytest.approx(6 * lesion.volume)
    middle = np.reshape(direction, (3, 3)) @ np.array([30.0, 25 * 1.5, 20 * 2.0]) + grid.origin
    assert lesion.centroid == pytest.approx(middle)
    assert lesion.extent == (25, 25.5, 26)


def test_the_peak_of_a_small_lesion_is_diluted_by_its_surroundings() -> None:
    radius = 4.0
    mask = ball(FINE, (30, 25, 20), radius)
    (lesion,), _ = lesions_of(mask, mask * np.float32(10), FINE)
    assert lesion.suv_peak == pytest.approx(10 * (radius / PEAK_RADIUS) ** 3, rel=0.06)


def test_the_peaks_sphere_lies_where_its_mean_is_highest() -> None:
    mask = np.zeros(FINE.shape, bool)
    mask[5:35, 20:30, 20:40] = True
    pet = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], FINE.shape)
    (lesion,), _ = lesions_of(mask, np.ascontiguousarray(pet), FINE)
    assert lesion.suv_peak == pytest.approx(34, abs=1e-3)


def test_at_the_images_border_the_peak_is_a_mean_of_what_is_there() -> None:
    mask = np.zeros(FINE.shape, bool)
    mask[0, 0, 0] = True
    (lesion,), _ = lesions_of(mask, np.full(FINE.shape, 3, np.float32), FINE)
    assert lesion.suv_peak == pytest.approx(3)


def test_voxels_that_share_an_edge_are_one_lesion_and_a_corner_makes_two() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[1, 2, 2] = True
    grid = Geometry((4, 4, 4), (1, 1, 1), (0, 0, 0), IDENTITY)
    pet = np.ones(mask.shape, np.float32)
    assert len(lesions_of(mask, pet, grid)[0]) == 1
    mask[2, 3, 3] = True
    assert len(lesions_of(mask, pet, grid)[0]) == 2


def test_lesions_are_numbered_by_their_size() -> None:
    mask = ball(FINE, (10, 10, 10), 4) | ball(FINE, (45, 35, 25), 9)
    lesions, numbers = lesions_of(mask, np.ones(FINE.shape, np.float32), FINE)
    assert [lesion.number for lesion in lesions] == [1, 2]
    assert lesions[0].volume > lesions[1].volume
    assert (numbers[25, 35, 45], numbers[10, 10, 10]) == (1, 2)


def test_totals_sum_up_and_the_largest_distance_is_that_of_the_farthest_centroids() -> None:
    mask = ball(FINE, (10, 10, 10), 4) | ball(FINE, (30, 25, 20), 3) | ball(FINE, (50, 40, 30), 4)
    lesions, _ = lesions_of(mask, mask * np.float32(2), FINE)
    totals = totals_of(lesions)
    assert (totals.lesions, totals.suv_max) == (3, 2)
    assert totals.volume == pytest.approx(mask.sum() * 3 / 1000)
    assert totals.tlg == pytest.approx(2 * totals.volume)
    assert totals.largest_distance == pytest.approx(np.hypot(np.hypot(40, 30 * 1.5), 20 * 2))


def test_an_empty_mask_has_no_lesion() -> None:
    lesions, numbers = lesions_of(np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), np.float32), FINE)
    assert not lesions
    assert not numbers.any()
    totals = totals_of(lesions)
    assert (totals.lesions, totals.volume, totals.largest_distance) == (0, 0, 0)
