"""L2SNet's first phase: localisation of lesions by a 2D network in sagittal slices of the PET.

Source: Cai et al. 2023, arXiv 2309.05446; the constants are those of `predict_2d` in the published
`predict.py`.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.inference.engines.contract import Engine
from common.inference.progress import Progress
from common.inference.schedule import require_time, timed
from common.nnunet.resample import spline_matrix

FRAME_SIZE = 400
"""Number of rows (y) and of columns (z) that every slice is resized to."""
ROWS = slice(40, 360)
COLUMNS = slice(8, 392)
"""The central part of the resized slice that is the network's tile."""
TILE = (ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start)
CHANNELS = 5
"""Number of adjacent slices in one tile; the network segments the middle one."""
MIDDLE = CHANNELS // 2
MAX_SUV = 35
"""SUV from 0 to this value are scaled to -1 to 1, without clipping above."""

Plane = NDArray[np.float32]


def localise(pet: NDArray[np.float32], engine: Engine, deadline: float | None = None) -> NDArray[np.float32]:
    """Return the lesion probability (z, y, x) for a PET (z, y, x) in SUV.

    It is zero in the first and last two sagittal slices, which lack neighbours. `deadline` is a time of
    `time.monotonic`. Raises `MachineError` if memory is too small or time too short.
    """
    depth, height, width = pet.shape
    frame = Frame(depth, height)
    slices = max(0, width - CHANNELS + 1)
    probability = np.zeros(pet.shape[::-1], np.float32)
    if slices and deadline is not None:
        _require_time(engine, slices, deadline)
    with Progress(slices, "slices") as progress:
        for x, logits in enumerate(engine.stream(_tiles(pet, frame)), start=MIDDLE):
            probability[x] = frame.from_tile(expit(logits[1] - logits[0]))
            progress.step()
    return probability.transpose()


class Frame:
    """Resizing of sagittal slices (z, y) of one size to tiles, and back."""

    def __init__(self, depth: int, height: int) -> None:
        self._rows = spline_matrix(height, FRAME_SIZE, 1)[ROWS]
        self._columns = spline_matrix(depth, FRAME_SIZE, 1)[COLUMNS]
        self._back_rows = spline_matrix(FRAME_SIZE, height, 1)[:, ROWS]
        self._back_columns = spline_matrix(FRAME_SIZE, depth, 1)[:, COLUMNS]

    def to_tile(self, plane: Plane) -> Plane:
        """Resize a slice (z, y) and crop it to a tile (y, z)."""
        return np.linalg.multi_dot([self._rows, plane.T, self._columns.T])

    def from_tile(self, tile: Plane) -> Plane:
        """Resize a tile (y, z) back to a slice (y, z), zero outside the tile."""
        return np.linalg.multi_dot([self._back_rows, tile, self._back_columns.T])


def normalised(plane: Plane) -> Plane:
    """Scale SUV to the intensities that the network expects."""
    return plane * np.float32(2 / MAX_SUV) - 1


def _tiles(pet: NDArray[np.float32], frame: Frame) -> Iterator[NDArray[np.float32]]:
    """Yield the tile (5, y, z) of every slice that has two neighbours on both sides."""
    window: deque[Plane] = deque(maxlen=CHANNELS)
    for x in range(pet.shape[2]):
        window.append(frame.to_tile(normalised(pet[:, :, x])))
        if len(window) == CHANNELS:
            yield np.stack(window)


def _require_time(engine: Engine, slices: int, deadline: float) -> None:
    """Estimate the time from one tile, after one to warm up; `MachineError` if it is too long."""
    tile = np.zeros((CHANNELS, *TILE), np.float32)
    _, seconds = timed(engine.stream([tile, tile]))
    require_time("localisation", seconds * slices, deadline)
