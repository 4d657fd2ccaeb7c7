import tracemalloc

import numpy as np
import pytest

from common.inference.tissue import EDGE, Tissue, tissue_blocks
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.space import NetworkSpace

SHAPE = (33, 40, 20)


def air() -> dict[str, np.ndarray]:
    return {"ct": np.full(SHAPE, -1000, np.float32), "pet": np.full(SHAPE, 0.02, np.float32)}


def space(forward=(0, 1, 2), crop=None, shape=SHAPE) -> NetworkSpace:
    plans = Plans(
        2, (8, 8, 8), (1.0, 1.0, 1.0), forward, (ChannelSpec("CT", "none"),), Resampling(3), Resampling(1)
    )
    transposed = [SHAPE[axis] for axis in forward]
    crop = crop or tuple(slice(0, size) for size in transposed)
    return NetworkSpace(plans, SHAPE, (1.0, 1.0, 1.0), crop, shape)


@pytest.mark.parametrize(("name", "value"), [("ct", -400), ("pet", 0.2)])
def test_one_voxel_of_either_image_marks_its_block(name, value):
    images = air()
    images[name][17, 39, 0] = value
    blocks = tissue_blocks(images)
    assert blocks is not None
    assert blocks.shape == (5, 5, 3)
    assert np.argwhere(blocks).tolist() == [[2, 4, 0]]


@pytest.mark.parametrize("image", [{}, {"t1": np.ones(SHAPE, np.float32)}])
def test_images_without_a_rule_give_no_map(image):
    assert tissue_blocks(image) is None
    assert Tissue.of(None, space()) is None


def test_a_map_takes_no_copy_of_the_images():
    images = {"ct": np.zeros((160, 100, 100), np.float32)}
    tracemalloc.start()
    tissue_blocks(images)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 0.1 * images["ct"].nbytes


@pytest.mark.parametrize("forward", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_no_window_of_network_space_with_tissue_is_missed(forward, scale):
    images = air()
    z, y, x = 20, 9, 13
    images["pet"][z, y, x] = 5
    transposed = [SHAPE[axis] for axis in forward]
    crop = tuple(slice(3, size - 1) for size in transposed)
    shape = tuple(round((size - 4) * scale) for size in transposed)
    tissue = Tissue.of(tissue_blocks(images), space(forward, crop, shape))
    assert tissue
    there = [round(((z, y, x)[axis] - 3 + 0.5) * scale - 0.5) for axis in forward]
    window = (4, 4, 4)
    for start in np.ndindex(*shape):
        inside = all(s <= t < s + 4 for s, t in zip(start, there, strict=True))
        near = all(
            s - 3 * EDGE * max(1, scale) <= t < s + 4 + 3 * EDGE * max(1, scale)
            for s, t in zip(start, there, strict=True)
        )
        found = tissue.is_in(start, window)
        assert found or not inside
        assert near or not found


def test_windows_beyond_the_volume_have_no_tissue():
    images = air()
    images["ct"][0, 0, 0] = 40
    tissue = Tissue.of(tissue_blocks(images), space())
    assert tissue
    assert tissue.is_in((-4, -4, -4), (8, 8, 8))
    assert not tissue.is_in((40, 0, 0), (8, 8, 8))
