"""The network's input volume, read one tile at a time.

At a clinical size one channel takes 200 MB, so channels that are empty almost everywhere, such as
clicks, are painted into each tile instead of being held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple
from common.inference.tissue import Tissue
from common.nnunet.resample import Shape

Window = tuple[slice, slice, slice]


class Channel(Protocol):
    """One input channel (z, y, x)."""

    def read(self, window: Window, out: NDArray[np.float32]) -> None:
        """Overwrite `out` with the voxels of a window inside the volume."""
        ...


@dataclass(frozen=True)
class ArrayChannel:
    """A channel that lies in memory."""

    array: NDArray[np.float32]

    def read(self, window: Window, out: NDArray[np.float32]) -> None:
        """Copy the window's voxels."""
        out[...] = self.array[window]


@dataclass(frozen=True)
class Volume:
    """All input channels of one case, in network space."""

    shape: Shape
    channels: Sequence[Channel]
    tissue: Tissue | None = None
    """Where the patient is; `None` where that is not known."""

    def tile(self, start: Shape, patch: Shape) -> NDArray[np.float32]:
        """Voxels (C, z, y, x) of the tile that starts there, zero outside the volume."""
        ends = [s + size for s, size in zip(start, patch, strict=True)]
        window = triple(
            slice(max(0, s), min(end, size)) for s, end, size in zip(start, ends, self.shape, strict=True)
        )
        is_whole = all(w.stop - w.start == size for w, size in zip(window, patch, strict=True))
        tile = (np.empty if is_whole else np.zeros)((len(self.channels), *patch), np.float32)
        inside = tuple(slice(w.start - s, w.stop - s) for w, s in zip(window, start, strict=True))
        for channel, out in zip(self.channels, tile, strict=True):
            channel.read(window, out[inside])
        return tile
