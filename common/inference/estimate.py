"""How long cases take with a model, from the time of one tile on this machine."""

import numpy as np

from common.geometry import Geometry
from common.inference.engines.pool import EnginePool
from common.inference.network import Network
from common.inference.options import STEP
from common.inference.schedule import all_mirrorings, timed
from common.inference.tiles import TileGrid
from common.nnunet.memory import network_shape

SHAPE = (326, 400, 400)
SPACING = (3.0, 2.04, 2.04)
"""A whole-body PET/CT: voxels, and millimetres, (z, y, x)."""
CLINICAL = Geometry(SHAPE[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def estimate(network: Network, engines: EnginePool) -> str:
    """Seconds for a tile, and minutes for one pass and for all folds and mirrorings, in one line.

    Raises as `EnginePool.load`.
    """
    seconds = seconds_of_tile(network, engines)
    tiles, passes = tiles_of(CLINICAL, network), passes_of(network)
    minutes = tiles * seconds / 60
    return (
        f"a clinical case: {tiles} tiles of {seconds:.2f} s, {minutes:.1f} min for one pass, "
        f"{passes * minutes:.1f} min for {passes} (all folds and mirrorings)"
    )


def seconds_of_tile(network: Network, engines: EnginePool) -> float:
    """What a tile takes on the engine that the network gets here; raises as `EnginePool.load`."""
    with engines.at_work() as pool:
        engine = pool.load(network.name, network.files(network.folds[0]), network.host_tile_memory)
        tile = np.zeros(engine.tile_shape[1:], np.float32)
        _, seconds = timed(engine.stream([tile, tile]))
    return seconds


def tiles_of(geometry: Geometry, network: Network) -> int:
    """How many tiles an image has, without a border of zeros."""
    plans = network.nnunet_plans
    return len(TileGrid(network_shape(geometry, plans), plans.patch, STEP))


def passes_of(network: Network) -> int:
    """All folds in all mirrorings."""
    return len(network.folds) * len(all_mirrorings(network.mirror_axes))
