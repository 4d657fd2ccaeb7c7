"""Where the patient is, roughly: tiles of air are worked on last when time is short.

A voxel is tissue where the CT is above -500 HU or the PET above 0.1 SUV. A table is, too; what counts is that
no tissue is missed. Images of other kinds have no rule, and a case without CT and PET has no map.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple
from common.nnunet.resample import Shape
from common.nnunet.space import NetworkSpace

ABOVE = {"ct": np.float32(-500), "pet": np.float32(0.1)}
"""Intensities of air and less, by the image's name, in HU and SUV."""
EDGE = 8
"""Voxels along an edge of the blocks that the map consists of."""

Blocks = NDArray[np.bool_]


@dataclass(frozen=True)
class Tissue:
    """A map of the image in blocks, seen from network space."""

    blocks: Blocks
    """Whether there is tissue, (z, y, x) of the transposed image."""
    origin: tuple[int, int, int]
    """First voxel of network space in the transposed image."""
    scale: tuple[float, float, float]
    """Voxels of the image for one of network space."""

    @classmethod
    def of(cls, blocks: Blocks | None, space: NetworkSpace) -> "Tissue | None":
        """The map of the image (z, y, x), where there is one."""
        if blocks is None:
            return None
        ratios = zip(space.cropped_shape, space.shape, strict=True)
        scale = triple(cropped / size for cropped, size in ratios)
        origin = triple(crop.start for crop in space.crop)
        return cls(blocks.transpose(space.plans.transpose_forward), origin, scale)

    def is_in(self, start: Shape, shape: Shape) -> bool:
        """Whether tissue is in a window of network space, or within a block of it."""
        window = tuple(
            slice(int(max(0, o + s * scale) // EDGE), int(max(0, o + (s + size) * scale) // EDGE) + 1)
            for s, size, o, scale in zip(start, shape, self.origin, self.scale, strict=True)
        )
        return bool(self.blocks[window].any())


def tissue_blocks(images: Mapping[str, NDArray[np.float32]]) -> Blocks | None:
    """Which blocks of the images (z, y, x; HU, SUV) hold tissue; `None` where no image has a rule."""
    ruled = [(images[name], above) for name, above in ABOVE.items() if name in images]
    if not ruled:
        return None
    layers = range(0, len(ruled[0][0]), EDGE)
    return np.stack([_layer([image[z : z + EDGE] > above for image, above in ruled]) for z in layers])


def _layer(found: list[NDArray[np.bool_]]) -> Blocks:
    """One layer of blocks (y, x)."""
    plane = np.logical_or.reduce([voxels.any(axis=0) for voxels in found])
    for axis in (0, 1):
        plane = np.logical_or.reduceat(plane, np.arange(0, plane.shape[axis], EDGE), axis=axis)
    return plane
