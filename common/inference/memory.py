"""The memory that a case needs, computed before its work starts.

A GPU's own memory is no reason to refuse a case: where it is short, another engine computes. The tile that a
CPU would compute counts on a machine with a GPU, too, because the case must end there if the GPU fails.
"""

import logging
from math import prod

from common.geometry import Geometry
from common.inference.files import EngineFile
from common.inference.network import Network
from common.inference.tiles import TileGrid
from common.memory import MARGIN, MIB, available_memory, present_memory, require_memory
from common.nnunet.memory import (
    FLOAT32,
    channels_memory,
    network_shape,
    preprocessing_memory,
)
from common.nnunet.plans import Plans
from common.nnunet.resample import Shape
from common.nnunet.slices import SLICES_HELD, streams
from common.nnunet.space import NetworkSpace

logger = logging.getLogger(__name__)

BUFFERS = 2
"""Batches on their way through a GPU, each with its input and its output."""


def require_memory_for(geometry: Geometry, network: Network, *, whole: bool = False, beside: int = 0) -> None:
    """Raise `MachineError` when the case's images, which are there, leave too little for the rest.

    `whole` and `beside` are those of `case_memory`. The log says how much the process is expected to hold at
    its peak.
    """
    least, most = case_memory(geometry, network, whole=whole, beside=beside)
    present, left = present_memory(), available_memory() - MARGIN
    require_memory(least, "prediction of this case")
    logger.info("expected peak memory: %d MiB", (present + min(most, max(least, left))) // MIB)
    if engines := [engine for fold in network.folds for engine in fold.engines]:
        on_gpu = max(gpu_memory(engine, network) for engine in engines)
        logger.info("on a GPU, %d MiB of its memory", on_gpu // MIB)


def case_memory(
    geometry: Geometry, network: Network, *, whole: bool = False, beside: int = 0
) -> tuple[int, int]:
    """Bytes that a case takes at its peak beside its images, at least and where enough is there.

    `whole` says that the algorithm wants the whole prediction in network space, `beside` how many bytes it
    holds of its own while the network works.
    """
    plans = network.nnunet_plans
    padded = TileGrid(network_shape(geometry, plans), plans.patch).padded_shape
    fixed = beside + channels_memory(geometry, plans) + network.host_tile_memory
    fixed += _on_the_way(network.classes, plans, network_shape(geometry, plans), geometry.shape)
    beginning = preprocessing_memory(geometry, plans)
    slices = plans.patch[0] if streams(plans.resample_prediction) and not whole else padded[0]
    least, most = (fixed + sums_memory(network.classes, depth, padded) for depth in (slices, padded[0]))
    return max(beginning, least), max(beginning, most)


def sums_memory(classes: int, depth: int, padded: Shape) -> int:
    """Bytes of the sums of so many slices of the padded volume; of two classes, only one is summed."""
    return FLOAT32 * (1 if classes == 2 else classes) * depth * prod(padded[1:])


def slices_that_fit(network: Network, space: NetworkSpace) -> int:
    """How many slices' sums fit into the memory that is left beside a tile's work and the mask."""
    plans = network.nnunet_plans
    on_the_way = _on_the_way(network.classes, plans, space.shape, space.cropped_shape)
    left = available_memory() - MARGIN - network.host_tile_memory - on_the_way
    padded = TileGrid(space.shape, plans.patch).padded_shape
    return max(0, left) // sums_memory(network.classes, 1, padded)


def gpu_memory(engine: EngineFile, network: Network) -> int:
    """Bytes of a GPU's memory that a compiled engine takes: weights, activations, batches on their way.

    The libraries' own context comes on top.
    """
    batch = max(engine.batches)
    tile = FLOAT32 * prod(network.patch) * (len(network.channels) + network.classes)
    return engine.path.stat().st_size + engine.activation_memory + BUFFERS * batch * tile


def _on_the_way(classes: int, plans: Plans, shape: Shape, image: Shape) -> int:
    """Bytes of the mask on the image's grid, and of what is on its way there."""
    summed = 1 if classes == 2 else classes
    if streams(plans.resample_prediction):
        largest = max(prod(shape[1:]), max(prod(image) // size for size in image))
        return 2 * prod(image) + FLOAT32 * SLICES_HELD * summed * largest
    # A class's volume on its way, an intermediate one, and of several classes the highest so far.
    return FLOAT32 * prod(image) * (2 if summed == 1 else 3) + prod(image)
