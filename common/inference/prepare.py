"""A case as its network's volume."""

from common.case import Case
from common.inference.tissue import Tissue, tissue_blocks
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.images import take_images
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess
from common.nnunet.space import NetworkSpace


def prepare(case: Case, plans: Plans) -> tuple[Volume, NetworkSpace]:
    """The case's images, preprocessed, and their place in the image; the case has none afterwards.

    Raises `InputError` for a case without an image that the plans want, and as `preprocess`.
    """
    blocks = tissue_blocks(case.images)
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    return Volume(space.shape, [ArrayChannel(image) for image in images], Tissue.of(blocks, space)), space
