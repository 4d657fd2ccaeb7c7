import numpy as np
import pytest

from common.errors import InputError
from common.nnunet.normalise import mean_and_std, normalise
from common.nnunet.plans import ChannelSpec, Statistics


def image(low: float = -500, high: float = 900) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (6, 7, 8)).astype(np.float32)


def normalised(voxels, channel, mask=None):
    result = voxels.copy()
    normalise(result, channel, mask)
    return result


def test_ct_is_clipped_and_scaled_by_the_training_set():
    channel = ChannelSpec("CT", "ct", statistics=Statistics(100, 50, -200, 300))
    voxels = image()
    np.testing.assert_allclose(
        normalised(voxels, channel), (np.clip(voxels, -200, 300) - 100) / 50, rtol=1e-5, atol=1e-6
    )


def test_z_score_has_zero_mean_and_unit_spread():
    result = normalised(image(), ChannelSpec("PET", "z_score"))
    assert mean_and_std(result) == pytest.approx((0, 1), abs=1e-5)


def test_masked_z_score_leaves_the_outside_alone():
    voxels, mask = image(), np.zeros((6, 7, 8), bool)
    mask[1:4, 2:5] = True
    result = normalised(voxels, ChannelSpec("PET", "z_score", use_mask=True), mask)
    assert mean_and_std(result, mask) == pytest.approx((0, 1), abs=1e-5)
    np.testing.assert_array_equal(result[~mask], voxels[~mask])


def test_constant_image_is_not_divided_by_zero():
    assert np.all(normalised(np.full((2, 3, 4), 7, np.float32), ChannelSpec("PET", "z_score")) == 0)


def test_rescaling_spans_zero_to_one():
    result = normalised(image(), ChannelSpec("MR", "rescale_0_1"))
    assert (result.min(), result.max()) == (0, 1)


def test_colours_are_divided_by_255():
    voxels = image(0, 255)
    np.testing.assert_allclose(normalised(voxels, ChannelSpec("red", "rgb_0_1")), voxels / 255, rtol=1e-6)


def test_intensities_that_are_no_colours_are_refused():
    with pytest.raises(InputError, match=r"red: found intensities from -.* expected 0 to 255"):
        normalised(image(), ChannelSpec("red", "rgb_0_1"))


def test_no_normalisation_changes_nothing():
    voxels = image()
    np.testing.assert_array_equal(normalised(voxels, ChannelSpec("SUV", "none")), voxels)


def test_mean_and_spread_equal_numpys():
    voxels = image()
    assert mean_and_std(voxels) == pytest.approx((voxels.mean(dtype=float), voxels.std(dtype=float)))
