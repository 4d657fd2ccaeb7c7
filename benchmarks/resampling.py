"""One image channel from 260×200×200 voxels of 4.0×4.07×4.07 mm to 347×400×400, cubic.

python benchmarks/resampling.py
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import main
from common.nnunet.plans import Resampling
from common.nnunet.resample import resample

SHAPE, NEW_SHAPE = (260, 200, 200), (347, 400, 400)
SPACING, NEW_SPACING = (4.0, 4.07, 4.07), (3.0, 2.035, 2.035)


def volume() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def ours() -> Callable[[], NDArray[np.float32]]:
    channel = volume()
    return lambda: resample(channel, NEW_SHAPE, SPACING, NEW_SPACING, Resampling(order=3))


def nnunet() -> Callable[[], NDArray[np.float32]]:
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    channel = volume()[None]
    return lambda: resample_data_or_seg_to_shape(
        channel, NEW_SHAPE, SPACING, NEW_SPACING, is_seg=False, order=3, force_separate_z=None
    )[0]


if __name__ == "__main__":
    main(__doc__, {"nnU-Net": nnunet, "petct": ours}, baseline="nnU-Net", runs=5)
