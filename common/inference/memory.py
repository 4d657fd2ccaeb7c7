"""Whether a case fits into memory, asked before its work starts."""

from common.geometry import Geometry
from common.inference.network import Network
from common.memory import require_memory
from common.nnunet.memory import recipe_memory


def require_memory_for(geometry: Geometry, network: Network) -> None:
    """Raise `MachineError` when the case's images, which are there, leave too little for the rest."""
    needed = recipe_memory(geometry, network.nnunet_plans) + network.tile_memory
    require_memory(needed, "prediction of this case")
