"""L2SNet's first phase: where lesions may lie, seen by a 2D network in sagittal slices of the PET.

Cai et al. 2023, arXiv 2309.05446; the numbers are those of `predict_2d` in the published `predict.py`.
"""

import time
from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.inference.engines.contract import Engine
from common.inference.progress import Progress
from common.inference.schedule import within_time
from common.nnunet.resample import spline_matrix

FRAME = 400
"""Rows (y) and columns (z) that every slice is resized to."""
ROWS = slice(40, 360)
COLUMNS = slice(8, 392)
"""The part of the frame that the network sees."""
TILE = (ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start)
CHANNELS = 5
"""Neighbouring slices that the network sees together; it marks the middle one."""
MIDDLE = CHANNELS // 2
MAX_SUV = 35
"""Intensities from 0 to this SUV become -1 to 1; higher ones go beyond."""

Plane = NDArray[np.float32]


def localise(pet: NDArray[np.float32], engine: Engine, deadline: float | None = None) -> NDArray[np.float32]:
    """Return the probability (z, y, x) of a lesion, from a PET (z, y, x) in SUV.

    It is zero in the first and last two sagittal slices, which lack neighbours. `deadline` is on
    `time.monotonic`'s clock. Raises `MachineError` when memory runs out or time does not suffice.
    """
    depth, height, width = pet.shape
    frame = Frame(depth, height)
    slices = max(0, width - CHANNELS + 1)
    probability = np.zeros(pet.shape[::-1], np.float32)
    if slices and deadline is not None:
        _require_time(engine, slices, deadline)
    with Progress(slices, "slices") as progress:
        for x, tile in enumerate(_tiles(pet, frame), start=MIDDLE):
            logits = engine.run(tile[None])[0]
            probability[x] = frame.put_back(expit(logits[1] - logits[0]))
            progress.step()
    return probability.transpose()


class Frame:
    """The resizing of slices of one size, (z, y), and the part of the result that the network sees."""

    def __init__(self, depth: int, height: int) -> None:
        self._rows = spline_matrix(height, FRAME, 1)[ROWS]
        self._columns = spline_matrix(depth, FRAME, 1)[COLUMNS]
        self._back_rows = spline_matrix(FRAME, height, 1)[:, ROWS]
        self._back_columns = spline_matrix(FRAME, depth, 1)[:, COLUMNS]

    def see(self, plane: Plane) -> Plane:
        """The network's rows (y) and columns (z) of a slice (z, y)."""
        return np.linalg.multi_dot([self._rows, plane.T, self._columns.T])

    def put_back(self, seen: Plane) -> Plane:
        """Rows and columns as a slice (y, z), zero where the network does not see."""
        return np.linalg.multi_dot([self._back_rows, seen, self._back_columns.T])


def scaled(plane: Plane) -> Plane:
    """SUV as the network expects it."""
    return plane * np.float32(2 / MAX_SUV) - 1


def _tiles(pet: NDArray[np.float32], frame: Frame) -> Iterator[NDArray[np.float32]]:
    """The network's channels for every slice that has two neighbours on both sides."""
    window: deque[Plane] = deque(maxlen=CHANNELS)
    for x in range(pet.shape[2]):
        window.append(frame.see(scaled(pet[:, :, x])))
        if len(window) == CHANNELS:
            yield np.stack(window)


def _require_time(engine: Engine, slices: int, deadline: float) -> None:
    """Judge by one tile; the run before it warms the engine up."""
    tile = np.zeros((1, CHANNELS, *TILE), np.float32)
    engine.run(tile)
    start = time.monotonic()
    engine.run(tile)
    now = time.monotonic()
    within_time(1, (), (now - start) * slices, deadline - now)
