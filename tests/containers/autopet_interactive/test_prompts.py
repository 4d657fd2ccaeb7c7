import logging

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.case import Click
from common.errors import ModelError
from common.inference.volume import Volume
from common.model.model import Model
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.space import NetworkSpace
from containers.autopet_interactive.prompts import ClickSettings, ball, click_channels

SHAPE = (20, 24, 28)


def space() -> NetworkSpace:
    plans = Plans(
        2, (8, 8, 8), (1, 1, 1), (0, 1, 2), (ChannelSpec("PET", "none"),), Resampling(3), Resampling(1)
    )
    return NetworkSpace(plans, SHAPE, (1, 1, 1), (slice(0, 20), slice(0, 24), slice(0, 28)), SHAPE)


def painted(clicks, *, point_width=2, encoding="distance"):
    channels = click_channels(clicks, space(), ClickSettings(point_width, encoding))
    return Volume(SHAPE, channels).tile((0, 0, 0), SHAPE)


def test_ball_falls_from_one_at_its_centre():
    values = ball(2)
    assert values.shape == (5, 5, 5)
    assert values[2, 2, 2] == 1
    assert values.max() == 1
    assert values[0, 0, 0] == 0
    assert 0 < values[2, 2, 0] < values[2, 2, 1] < 1


@pytest.mark.parametrize("flip", [0, 1, 2])
def test_ball_is_symmetric(flip):
    np.testing.assert_array_equal(ball(3), np.flip(ball(3), flip))


def test_clicks_of_each_name_have_a_channel_of_their_own():
    tumor, background = painted([Click((5, 6, 7), "tumor"), Click((20, 15, 10), "background")])
    assert tumor[7, 6, 5] == background[10, 15, 20] == 1
    assert tumor[10, 15, 20] == background[7, 6, 5] == 0


def test_ball_lies_around_its_click():
    tumor, _ = painted([Click((5, 6, 7), "tumor")])
    np.testing.assert_array_equal(tumor[5:10, 4:9, 3:8], ball(2))
    assert np.count_nonzero(tumor) == np.count_nonzero(ball(2))


def test_overlapping_clicks_are_merged_by_maximum():
    first, second = Click((5, 6, 7), "tumor"), Click((6, 6, 7), "tumor")
    both, _ = painted([first, second])
    np.testing.assert_array_equal(both, np.maximum(painted([first])[0], painted([second])[0]))


def test_ball_is_cut_at_the_border():
    tumor, _ = painted([Click((0, 0, 0), "tumor")])
    np.testing.assert_array_equal(tumor[:3, :3, :3], ball(2)[2:, 2:, 2:])


def test_click_outside_the_image_is_ignored_with_a_warning_that_names_it(caplog):
    with caplog.at_level(logging.WARNING):
        channels = painted([Click((28, 6, 7), "tumor"), Click((3, -1, 7), "background")])
    assert not channels.any()
    assert "tumor click at voxel (x, y, z) (28, 6, 7) lies outside" in caplog.text
    assert "background click at voxel (x, y, z) (3, -1, 7)" in caplog.text


def test_tiles_show_what_the_whole_volume_shows():
    rng = np.random.default_rng(0)
    clicks = [Click(tuple(point), "tumor") for point in rng.uniform(0, 19, (40, 3))]
    volume = Volume(SHAPE, click_channels(clicks, space(), ClickSettings(2, "distance")))
    whole = volume.tile((0, 0, 0), SHAPE)
    for start in [(0, 0, 0), (3, 5, 7), (12, 16, 20)]:
        window = tuple(slice(s, s + 8) for s in start)
        np.testing.assert_array_equal(volume.tile(start, (8, 8, 8)), whole[(slice(None), *window)])


@pytest.mark.parametrize("width", [3, 1.5])
def test_gaussian_encoding_filters_unit_impulses(width):
    impulses = np.zeros(SHAPE, np.float32)
    impulses[7, 6, 5] = 1
    tumor, background = painted([Click((5, 6, 7), "tumor")], encoding="gaussian", point_width=width)
    np.testing.assert_allclose(tumor, gaussian_filter(impulses, width))
    assert not background.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"point_width": 0, "encoding": "distance"}, "found point_width 0"),
        ({"point_width": 1.5, "encoding": "distance"}, "a whole number for a ball"),
        ({"point_width": "2", "encoding": "distance"}, "expected a finite number"),
        ({"point_width": 2, "encoding": "cube"}, "expected one of 'distance', 'gaussian'"),
        ({"point_width": 2}, "settings.encoding is missing"),
        ({"width": 2}, "settings.width is not an entry"),
    ],
)
def test_settings_that_are_none_are_refused(settings, message):
    with pytest.raises(ModelError, match=f"model.json: .*{message}.*; make the folder again"):
        Model("autopet_interactive", (), "", settings).settings_as(ClickSettings)
