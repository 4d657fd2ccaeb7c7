import pytest

from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.space import NetworkSpace


def space(crop, shape, transpose=(0, 1, 2)) -> NetworkSpace:
    plans = Plans(
        2, (8, 8, 8), (1, 1, 1), transpose, (ChannelSpec("PET", "none"),), Resampling(3), Resampling(1)
    )
    return NetworkSpace(plans, (40, 50, 60), (1, 1, 1), crop, shape)


WHOLE = (slice(0, 40), slice(0, 50), slice(0, 60))


def test_point_keeps_its_voxel_where_nothing_is_cropped_or_resampled():
    assert space(WHOLE, (40, 50, 60)).point((3, 4, 5)) == (5, 4, 3)


def test_the_crops_lower_corner_is_subtracted_once():
    crop = (slice(10, 40), slice(20, 50), slice(30, 60))
    assert space(crop, (30, 30, 30)).point((37, 26, 15)) == (5, 6, 7)


def test_point_scales_with_the_voxel_index():
    assert space(WHOLE, (80, 25, 90)).point((7, 9, 5)) == (10, 4, 10)


@pytest.mark.parametrize(("point", "voxel"), [((0, 0, 0), (0, 0, 0)), ((59, 49, 39), (20, 20, 20))])
def test_point_outside_the_crop_goes_to_its_border(point, voxel):
    crop = (slice(10, 30), slice(20, 40), slice(30, 50))
    assert space(crop, (20, 20, 20)).point(point) == voxel


def test_point_is_transposed_with_the_image():
    crop = (slice(0, 60), slice(0, 40), slice(0, 50))
    assert space(crop, (60, 40, 50), transpose=(2, 0, 1)).point((3, 4, 5)) == (3, 5, 4)
