"""autoPET-interactive: lesion segmentation in PET/CT, guided by tumour and background clicks.

Source: Rokuss et al. 2025, "Towards Interactive Lesion Segmentation in Whole-Body PET/CT with Promptable
Models", arXiv 2508.21680.
"""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.inference.memory import require_memory_for
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.tissue import Tissue, tissue_blocks
from common.inference.volume import ArrayChannel, Volume
from common.model.model import Model
from common.nnunet.images import take_images
from common.nnunet.preprocess import preprocess
from containers.autopet_interactive.prompts import ClickSettings, click_channels


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Segment a case; return the mask (z, y, x) on its grid, 1 in lesions and 0 elsewhere.

    The images are removed from the case. Raises `ModelError` for a model that does not fit the case, and
    `MachineError` if memory or time is too short.
    """
    network = model.network("segmentation")
    plans, settings = network.nnunet_plans, model.settings_as(ClickSettings)
    require_memory_for(case.geometry, network)
    blocks = tissue_blocks(case.images)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    clicks = click_channels(case.clicks, space, settings)
    volume = Volume(space.shape, [*map(ArrayChannel, images), *clicks], Tissue.of(blocks, space))
    return space.mask(predict(volume, network, options), threshold=0)
