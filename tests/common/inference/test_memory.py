import numpy as np
import pytest

from common.errors import MachineError
from common.geometry import Geometry
from common.inference.memory import require_memory_for
from common.inference.network import Network
from common.memory import GIB
from common.nnunet.plans import ChannelSpec, Plans, Resampling

GEOMETRY = Geometry((40, 50, 60), (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))
CHANNELS = (ChannelSpec("CT", "none"), ChannelSpec("PET", "none"))
PLANS = Plans(2, (8, 8, 8), (3.0, 2.0, 2.0), (0, 1, 2), CHANNELS, Resampling(3), Resampling(1))


def test_case_that_is_too_large_is_refused_before_the_work():
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 10**5 * GIB, PLANS)
    with pytest.raises(MachineError, match=r"prediction of this case needs about 100000\.\d\d GiB"):
        require_memory_for(GEOMETRY, network)
