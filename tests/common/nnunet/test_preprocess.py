import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from common.errors import InputError
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.preprocess import filled_mask, nonzero_region, preprocess


def plans(transpose=(0, 1, 2), spacing=(1.0, 1.0, 1.0)) -> Plans:
    channels = (ChannelSpec("PET", "none"),)
    return Plans(2, (8, 8, 8), spacing, transpose, channels, Resampling(3), Resampling(1))


def framed(shape=(9, 10, 11)) -> np.ndarray:
    voxels = np.zeros(shape, np.float32)
    voxels[2:7, 1:9, 3:10] = np.random.default_rng(0).uniform(1, 2, (5, 8, 7))
    return voxels


def test_crop_holds_every_nonzero_voxel():
    assert nonzero_region([framed()]) == (slice(2, 7), slice(1, 9), slice(3, 10))


def test_crop_unites_all_images():
    other = np.zeros((9, 10, 11), np.float32)
    other[8, 0, 0] = 1
    assert nonzero_region([framed(), other]) == (slice(2, 9), slice(0, 9), slice(0, 10))


def test_image_of_zeros_is_refused():
    with pytest.raises(InputError, match="every voxel of every image is zero"):
        preprocess([np.zeros((4, 5, 6), np.float32)], (1, 1, 1), plans())


def test_image_smaller_than_a_voxel_of_the_network_is_refused():
    speck = np.zeros((4, 5, 6), np.float32)
    speck[1, 2, 3] = 1
    with pytest.raises(
        InputError, match=r"has \(1, 1, 1\) voxels of \(1, 1, 1\) mm, .* \(3.0, 1.0, 1.0\) mm"
    ):
        preprocess([speck], (1, 1, 1), plans(spacing=(3, 1, 1)))


def test_mask_is_filled_like_scipys():
    rng = np.random.default_rng(0)
    image = (rng.random((12, 13, 14)) < 0.7).astype(np.float32)
    np.testing.assert_array_equal(filled_mask([image]), binary_fill_holes(image != 0))


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_mask_comes_back_where_the_image_was(transpose):
    image = framed()
    expected = (image > 1.5).astype(np.uint8)
    (channel,), space = preprocess([image], (1, 1, 1), plans(transpose))
    np.testing.assert_array_equal(space.mask(channel, threshold=1.5), expected)


def test_mask_has_the_images_shape_after_resampling():
    (channel,), space = preprocess([framed()], (2.0, 1.0, 3.0), plans(spacing=(1.0, 1.5, 2.0)))
    assert channel.shape == space.shape == (10, 5, 10)
    assert space.mask(channel, threshold=0).shape == (9, 10, 11)


def test_spacing_is_transposed_with_the_image():
    (channel,), _ = preprocess([framed()], (2.0, 1.0, 3.0), plans((2, 0, 1), spacing=(1.5, 1.0, 1.0)))
    assert channel.shape == (14, 10, 8)
