"""L2SNet's first phase: where lesions may lie, seen by a 2D network in sagittal slices of the PET.

Cai et al. 2023, arXiv 2309.05446; the numbers are those of `predict_2d` in the published `predict.py`.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.inference.engine import Engine
from common.inference.progress import Progress
from common.nnunet.resample import spline_matrix

FRAME = 400
"""Rows (y) and columns (z) that every slice is resized to."""
ROWS = slice(40, 360)
COLUMNS = slice(8, 392)
"""The part of the frame that the network sees."""
CHANNELS = 5
"""Neighbouring slices that the network sees together; it marks the middle one."""
HIGHEST_SUV = 35
"""Intensities from 0 to this SUV become -1 to 1; higher ones go beyond."""


def localise(pet: NDArray[np.float32], engine: Engine) -> NDArray[np.float32]:
    """Return the probability (z, y, x) of a lesion, from a PET (z, y, x) in SUV.

    It is zero in the first and last two sagittal slices, which lack neighbours.
    Raises `MachineError` when memory runs out.
    """
    depth, height, width = pet.shape
    rows, columns = spline_matrix(height, FRAME, 1)[ROWS], spline_matrix(depth, FRAME, 1)[COLUMNS]
    back_rows, back_columns = (
        spline_matrix(FRAME, height, 1)[:, ROWS],
        spline_matrix(FRAME, depth, 1)[:, COLUMNS],
    )
    probability = np.zeros(pet.shape[::-1], np.float32)
    window: deque[NDArray[np.float32]] = deque(maxlen=CHANNELS)
    with Progress(max(0, width - CHANNELS + 1), "slices") as progress:
        for x in range(width):
            plane = pet[:, :, x].T * np.float32(2 / HIGHEST_SUV) - 1
            window.append(rows @ plane @ columns.T)
            if len(window) == CHANNELS:
                logits = engine.run(np.stack(window)[None])[0]
                seen = expit(logits[1] - logits[0])
                probability[x - CHANNELS // 2] = back_rows @ seen @ back_columns.T
                progress.step()
    return probability.transpose()
