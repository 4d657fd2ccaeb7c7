from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import MachineError
from common.geometry import Geometry
from common.inference.memory import require_memory_for
from common.inference.network import Fold, Network, Parity
from common.memory import GIB
from common.nnunet.plans import ChannelSpec, Plans, Resampling

GEOMETRY = Geometry((40, 50, 60), (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))
CHANNELS = (ChannelSpec("CT", "none"), ChannelSpec("PET", "none"))
PLANS = Plans(2, (8, 8, 8), (3.0, 2.0, 2.0), (0, 1, 2), CHANNELS, Resampling(3), Resampling(1))


def test_case_that_is_too_large_is_refused_before_the_work():
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 10**5 * GIB, PLANS)
    with pytest.raises(MachineError, match=r"prediction of this case needs about 100000\.\d\d GiB"):
        require_memory_for(GEOMETRY, network)


def test_what_a_tile_takes_on_the_cpu_does_not_count_where_no_cpu_can_compute_it() -> None:
    on_gpu, anywhere = Fold("0", None, Parity(0, 1)), Fold("1", Path("1.onnx"), Parity(0, 1))
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (on_gpu,), 10**5 * GIB, PLANS)
    assert network.host_tile_memory < GIB
    assert replace(network, folds=(on_gpu, anywhere)).host_tile_memory == 10**5 * GIB
