import numpy as np
import pytest

from common.errors import MachineError
from common.grandchallenge.geometry import Geometry
from common.memory import GIB
from common.model_folder import Network
from common.nnunet.memory import recipe_memory, require_memory_for
from common.nnunet.plans import Channel, Plans, Resampling

SIZE = (40, 50, 60)
VOXELS = 4 * 40 * 50 * 60


def plans(spacing=(3.0, 2.0, 2.0)) -> Plans:
    channels = (Channel("CT", "none"), Channel("PET", "none"))
    return Plans(2, (8, 8, 8), spacing, (0, 1, 2), channels, Resampling(3), Resampling(1))


def geometry() -> Geometry:
    return Geometry(SIZE, (2.0, 2.0, 3.0), (0, 0, 0), tuple(np.eye(3).ravel()))


def test_image_at_the_plans_spacing_takes_its_prediction_and_its_mask():
    assert recipe_memory(geometry(), plans()) == 2 * VOXELS


def test_resampled_image_takes_its_channels_as_well():
    assert recipe_memory(geometry(), plans((1.5, 1.0, 1.0))) == 8 * 4 * VOXELS + VOXELS


def test_case_that_is_too_large_is_refused_before_the_work():
    network = Network("segmentation", ("CT", "PET"), (8, 8, 8), 2, (), (), 10**5 * GIB, plans())
    with pytest.raises(MachineError, match=r"prediction of this case needs about 100000\.\d\d GiB"):
        require_memory_for(geometry(), network)
