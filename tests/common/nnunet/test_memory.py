import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from common.geometry import Geometry
from common.nnunet.memory import channels_memory, network_shape, preprocessing_memory
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.preprocess import preprocess

SIZE = (60, 80, 100)
VOXELS = 60 * 80 * 100


def plans(coarseness: float = 1.0) -> Plans:
    channels = (ChannelSpec("CT", "none"), ChannelSpec("PET", "none"))
    spacing = (3.0 * coarseness, 2.0 * coarseness, 2.0 * coarseness)
    return Plans(2, (8, 8, 8), spacing, (0, 1, 2), channels, Resampling(3), Resampling(1))


def geometry() -> Geometry:
    return Geometry(SIZE, (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))


def test_an_image_at_the_plans_spacing_becomes_its_channel():
    assert network_shape(geometry(), plans()) == (100, 80, 60)
    assert channels_memory(geometry(), plans()) == 0
    assert preprocessing_memory(geometry(), plans()) == 2 * VOXELS


def test_channels_take_what_network_space_takes():
    assert channels_memory(geometry(), plans(0.5)) == 2 * 7 * 4 * VOXELS
    assert channels_memory(geometry(), plans(2)) == -2 * 7 * 4 * VOXELS // 8


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("coarseness", [0.6, 0.8, 1.0, 1.3, 2.0])
def test_preprocessing_takes_that_within_a_tenth_of_the_peak(coarseness, generation, use_mask, separate):
    channels = tuple(ChannelSpec(name, "z_score", use_mask) for name in ("CT", "PET"))
    how = Resampling(3, force_separate_z=separate)
    recipe = replace(plans(coarseness), generation=generation, channels=channels, resample_data=how)
    tracemalloc.start()
    images = [np.random.default_rng(seed).random((100, 80, 60), np.float32) + 1 for seed in (0, 1)]
    held = sum(image.nbytes for image in images)
    tracemalloc.reset_peak()
    preprocess(images, geometry().spacing_zyx, recipe)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held + preprocessing_memory(geometry(), recipe) == pytest.approx(peak, rel=0.1)


def test_images_are_gone_when_their_channels_are_there():
    images = [np.ones((10, 10, 10), np.float32) for _ in range(2)]
    preprocess(images, (3.0, 2.0, 2.0), plans(0.5))
    assert not images
