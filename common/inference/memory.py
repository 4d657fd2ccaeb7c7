"""Whether a case fits into the machine's memory, asked before its work starts.

A GPU's own memory is no reason to refuse a case: where it is short, another engine computes. The tile that a
CPU would compute counts on a machine with a GPU, too, because the case must end there if the GPU fails.
"""

from math import prod

from common.geometry import Geometry
from common.inference.network import Network
from common.inference.tiles import TileGrid
from common.memory import require_memory
from common.nnunet.memory import network_shape, recipe_memory
from common.nnunet.slices import SLICES_HELD, streams


def require_memory_for(geometry: Geometry, network: Network) -> None:
    """Raise `MachineError` when the case's images, which are there, leave too little for the rest."""
    plans = network.nnunet_plans
    needed = recipe_memory(geometry, plans, _fewest_sums(geometry, network)) + network.host_tile_memory
    require_memory(needed, "prediction of this case")


def _fewest_sums(geometry: Geometry, network: Network) -> int | None:
    """Numbers summed up at a time: one volume, or for more than two classes a row of tiles of each."""
    if network.classes == 2:
        return None
    plans = network.nnunet_plans
    depth, *plane = TileGrid(network_shape(geometry, plans), plans.patch).padded_shape
    if streams(plans.resample_prediction):
        largest = max(prod(plane), max(prod(geometry.shape) // size for size in geometry.shape))
        return network.classes * (plans.patch[0] * prod(plane) + SLICES_HELD * largest)
    # A class's volume on its way to the image's grid, an intermediate one, and the highest so far.
    return network.classes * depth * prod(plane) + 3 * prod(geometry.shape)
