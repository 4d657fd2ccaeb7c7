import tracemalloc

import numpy as np
import pytest

from common.nnunet.plans import Resampling
from common.nnunet.resample import resample
from common.nnunet.slices import SLICES_HELD, axis_orders, resample_slices, streams

SHAPE = (11, 7, 9)


def in_slabs(volume, sizes, overwrite):
    """The volume in pieces, each spoilt once the next is asked for."""
    start = 0
    for size in sizes:
        slab = volume[:, start : start + size].copy()
        yield slab
        if overwrite:
            slab[...] = np.nan
        start += size


@pytest.mark.parametrize("force", [None, True, False])
@pytest.mark.parametrize("new_shape", [(11, 7, 9), (20, 7, 9), (5, 12, 9), (23, 14, 4), (1, 3, 3)])
@pytest.mark.parametrize(
    ("spacing", "new_spacing"), [((3, 1, 1), (3, 1, 1)), ((1, 8, 1), (1, 2, 2)), ((9, 1, 1), (2, 1, 1))]
)
@pytest.mark.parametrize(("order", "order_z"), [(1, 0), (1, 1), (0, 0)])
def test_slices_are_those_of_the_resampled_volume(order, order_z, spacing, new_spacing, new_shape, force):
    volume = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    how = Resampling(order, order_z, force)
    found = list(
        resample_slices(
            in_slabs(volume, (4, 1, 6), True), SHAPE, new_shape, axis_orders(spacing, new_spacing, how)
        )
    )
    expected = [resample(channel, new_shape, spacing, new_spacing, how) for channel in volume]
    np.testing.assert_allclose(np.stack(found, axis=1), expected, atol=1e-5)


def test_splines_that_reach_across_the_volume_do_not_stream():
    assert streams(Resampling(1, 0))
    assert not streams(Resampling(3, 0))
    assert not streams(Resampling(1, 3))


def test_no_more_slices_are_held_than_said():
    slab = np.random.default_rng(0).standard_normal((16, 12, 64, 64)).astype(np.float32)
    shape, new_shape = (12, 64, 64), (30, 96, 96)
    tracemalloc.start()
    for slice_ in resample_slices([slab], shape, new_shape, (1, 1, 1)):
        assert slice_.shape == (16, 96, 96)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < (SLICES_HELD + 0.5) * slice_.nbytes
