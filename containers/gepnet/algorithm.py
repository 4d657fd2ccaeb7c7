"""GEPNet: lesion segmentation in PET or PET/CT with deformable large-kernel attention.

https://github.com/zhengqian1515/GEPNet, "Granularity-Edge Perception Feature Learning Network for 3D PET
Segmentation".
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
from common.nnunet.postprocess import Postprocessing
from common.nnunet.preprocess import preprocess


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Segment a case; return the mask (z, y, x) on its grid, 1 in lesions and 0 elsewhere.

    The images are removed from the case. Raises `InputError` for a case without the CT that the model needs,
    `ModelError` for a model that does not fit, and `MachineError` if memory or time is too short.
    """
    network = model.network("segmentation")
    plans, postprocessing = network.nnunet_plans, model.settings_as(Postprocessing)
    require_memory_for(case.geometry, network)
    blocks = tissue_blocks(case.images)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    volume = Volume(space.shape, [ArrayChannel(image) for image in images], Tissue.of(blocks, space))
    probability = predict(volume, network, options, "probability")
    return postprocessing.apply(space.mask(probability, threshold=0.5), case.geometry)
