"""nnU-Net v2: the labels of one trained 3D network, on images that the algorithm's interface names.

Isensee et al. 2021, "nnU-Net: a self-configuring method for deep learning-based biomedical image
segmentation", Nature Methods 18.
"""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.inference.labels import predict_labels
from common.inference.memory import require_memory_for
from common.inference.options import Options
from common.inference.tissue import Tissue, tissue_blocks
from common.inference.volume import ArrayChannel, Volume
from common.model.model import Model
from common.nnunet.images import take_images
from common.nnunet.preprocess import preprocess


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Labels 0 (background) to n on the case's grid, (z, y, x).

    The case's images are used up. Raises `InputError` for a case without an image that the model wants,
    `ModelError` for a model that does not fit, and `MachineError` when memory or time do not suffice.
    """
    network = model.network("segmentation")
    plans = network.nnunet_plans
    require_memory_for(case.geometry, network)
    blocks = tissue_blocks(case.images)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    volume = Volume(space.shape, [ArrayChannel(image) for image in images], Tissue.of(blocks, space))
    return predict_labels(volume, network, space, options)
