"""autoPET-interactive: lesions in PET/CT, refined by tumour and background clicks.

Rokuss et al. 2025, "Towards Interactive Lesion Segmentation in Whole-Body PET/CT with Promptable
Models", arXiv 2508.21680.
"""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.inference.memory import require_memory_for
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.volume import ArrayChannel, Volume
from common.model.model import Model
from common.nnunet.images import take_images
from common.nnunet.preprocess import preprocess
from containers.autopet_interactive.prompts import ClickSettings, click_channels


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Lesions (1) and background (0) on the case's grid, (z, y, x).

    The case's images are used up. Raises `ModelError` for a model that does not fit the case, and
    `MachineError` when memory or time do not suffice.
    """
    network = model.network("segmentation")
    plans, settings = network.nnunet_plans, model.settings_as(ClickSettings)
    require_memory_for(case.geometry, network)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    clicks = click_channels(case.clicks, space, settings)
    volume = Volume(space.shape, [*map(ArrayChannel, images), *clicks])
    return space.mask(predict(volume, network, options), threshold=0)
