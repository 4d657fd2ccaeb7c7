"""autoPET-interactive: lesion segmentation in PET/CT, guided by tumour and background clicks.

Source: Rokuss et al. 2025, "Towards Interactive Lesion Segmentation in Whole-Body PET/CT with Promptable
Models", arXiv 2508.21680.
"""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.inference.labels import predict_mask
from common.inference.memory import require_memory_for
from common.inference.options import Options
from common.inference.prepare import prepare
from common.model.model import Model
from containers.autopet_interactive.prompts import ClickSettings, click_channels


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Segment a case; return the mask (z, y, x) on its grid, 1 in lesions and 0 elsewhere.

    The images are removed from the case. Raises `ModelError` for a model that does not fit the case, and
    `MachineError` if memory or time is too short.
    """
    network = model.network("segmentation")
    plans, settings = network.nnunet_plans, model.settings_as(ClickSettings)
    require_memory_for(case.geometry, network)
    volume, space = prepare(case, plans)
    volume.channels.extend(click_channels(case.clicks, space, settings))
    return predict_mask(volume, network, space, options)
