"""How much memory a case takes with nnU-Net's recipe, known before any of it is taken."""

from math import prod

from common.grandchallenge.geometry import Geometry
from common.memory import require_memory
from common.model_folder import Network
from common.nnunet.plans import Plans
from common.nnunet.resample import resampled_shape

FLOAT32 = 4


def require_memory_for(geometry: Geometry, network: Network) -> None:
    """Raise `MachineError` when the case's images, which are there, leave too little for the rest."""
    needed = recipe_memory(geometry, network.nnunet_plans) + network.tile_memory
    require_memory(needed, "prediction of this case")


def recipe_memory(geometry: Geometry, plans: Plans) -> int:
    """Bytes beyond the images: resampled channels, the sum over tiles, and the way back to a mask.

    As much as an image takes that has nothing to crop.
    """
    forward = plans.transpose_forward
    shape, spacing = geometry.shape, geometry.spacing_zyx
    transposed = (shape[forward[0]], shape[forward[1]], shape[forward[2]])
    transposed_spacing = (spacing[forward[0]], spacing[forward[1]], spacing[forward[2]])
    network_shape = resampled_shape(transposed, transposed_spacing, plans.spacing)
    image, volume = prod(shape), prod(network_shape)
    if network_shape == transposed:
        return FLOAT32 * (volume + image)
    one_more = 1  # the spline of a channel goes through a volume as large
    return FLOAT32 * (volume * (len(plans.channels) + one_more + 1) + image)
