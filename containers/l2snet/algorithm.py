"""L2SNet: lesion segmentation in PET/CT by 2D localisation, 3D segmentation and their fusion by rules.

Source: Cai et al. 2023, arXiv 2309.05446. As in the original, both are fused in the space of the 3D network:
cropped, at the plans' spacing.
"""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.inference.memory import require_memory_for
from common.inference.network import Network
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.tissue import Tissue, tissue_blocks
from common.inference.volume import ArrayChannel, Volume
from common.memory import require_memory
from common.model.model import Model
from common.nnunet.images import take_images
from common.nnunet.plans import Resampling
from common.nnunet.postprocess import Postprocessing
from common.nnunet.preprocess import preprocess
from containers.l2snet.fusion import fuse
from containers.l2snet.localisation import localise

LINEAR = Resampling(order=1, force_separate_z=False)


def segment(case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
    """Segment a case; return the mask (z, y, x) on its grid, 1 in lesions and 0 elsewhere.

    The images are removed from the case. Raises `ModelError` for a model that does not fit the case, and
    `MachineError` if memory or time is too short.
    """
    network = model.network("segmentation")
    plans, postprocessing = network.nnunet_plans, model.settings_as(Postprocessing)
    require_memory_for(case.geometry, network)
    localisation = _localise(case, model.network("localisation"), options)
    blocks = tissue_blocks(case.images)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    volume = Volume(space.shape, [ArrayChannel(image) for image in images], Tissue.of(blocks, space))
    segmentation = predict(volume, network, options, "probability")
    fused = fuse(segmentation, space.from_image(localisation, LINEAR))
    return postprocessing.apply(space.mask(fused.astype(np.float32), threshold=0.5), case.geometry)


def _localise(case: Case, network: Network, options: Options) -> NDArray[np.float32]:
    pet = case.images["pet"]
    require_memory(pet.nbytes + network.host_tile_memory, "localisation")
    files = network.files(network.folds[0])
    with options.engines.at_work() as engines:
        engine = engines.load(network.name, files, network.host_tile_memory, options.deadline)
        return localise(pet, engine, options.deadline)
