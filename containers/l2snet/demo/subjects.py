"""Phantoms as training cases of the 2D network."""

import numpy as np

from common.demo.patches import FixedSubject
from common.demo.phantom.phantom import Phantom
from common.demo.subjects import binary
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.resample import Shape
from containers.l2snet.localisation import (
    CHANNELS,
    COLUMNS,
    FRAME_SIZE,
    MIDDLE,
    ROWS,
    TILE,
    Frame,
    normalised,
)


def in_frames(phantom: Phantom) -> FixedSubject:
    """Convert a phantom to tiles of adjacent sagittal PET slices, with axes (slice, row, column)."""
    depth, height, width = phantom.pet.shape
    frame, slices = Frame(depth, height), width - CHANNELS + 1
    planes = np.stack([frame.to_tile(normalised(phantom.pet[:, :, x])) for x in range(width)])
    truth = np.stack([frame.to_tile(phantom.truth[:, :, x].astype(np.float32)) for x in range(width)])
    shape = (slices, *TILE)
    return FixedSubject(
        image=Volume(shape, [ArrayChannel(planes[first : first + slices]) for first in range(CHANNELS)]),
        truth=Volume(shape, [ArrayChannel(binary(truth[MIDDLE : MIDDLE + slices]))]),
        centres=[_in_frames(click.point, phantom.pet.shape) for click in phantom.focus_clicks],
    )


def _in_frames(point: tuple[float, float, float], shape: tuple[int, ...]) -> Shape:
    """Return slice, row and column of a point (x, y, z) in an image of the given shape (z, y, x)."""
    x, y, z = point
    row = (y + 0.5) * FRAME_SIZE / shape[1] - ROWS.start
    column = (z + 0.5) * FRAME_SIZE / shape[0] - COLUMNS.start
    return int(x) - MIDDLE, int(row), int(column)
