import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from common.geometry import Geometry
from common.nnunet.memory import recipe_memory
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.preprocess import preprocess

SIZE = (40, 50, 60)
VOXELS = 4 * 40 * 50 * 60


def plans(spacing=(3.0, 2.0, 2.0)) -> Plans:
    channels = (ChannelSpec("CT", "none"), ChannelSpec("PET", "none"))
    return Plans(2, (8, 8, 8), spacing, (0, 1, 2), channels, Resampling(3), Resampling(1))


def geometry() -> Geometry:
    return Geometry(SIZE, (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))


def test_image_at_the_plans_spacing_takes_its_prediction_and_its_mask():
    assert recipe_memory(geometry(), plans()) == 2 * VOXELS


def test_resampled_image_takes_its_channels_as_well():
    assert recipe_memory(geometry(), plans((1.5, 1.0, 1.0))) == 8 * 4 * VOXELS + VOXELS


@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("coarseness", [0.8, 1.0, 2.0])
def test_preprocessing_takes_no_more_than_that(coarseness, generation, use_mask):
    spacing = (3.0 * coarseness, 2.0 * coarseness, 2.0 * coarseness)
    channels = tuple(ChannelSpec(name, "z_score", use_mask) for name in ("CT", "PET"))
    scan = replace(geometry(), size=(60, 80, 100))
    recipe = replace(plans(spacing), generation=generation, channels=channels)
    images = [np.random.default_rng(seed).uniform(1, 2, scan.shape).astype(np.float32) for seed in (0, 1)]
    tracemalloc.start()
    preprocess(images, scan.spacing_zyx, recipe)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < recipe_memory(scan, recipe)
