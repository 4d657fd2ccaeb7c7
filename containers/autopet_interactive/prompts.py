"""Encoding of clicks as input channels of the network.

A click is a small ball whose values decrease from 1 at its centre, following the Euclidean distance
transform; overlapping balls are merged by maximum. The alternative encoding is a Gaussian.
Source: nnunetv2/training/dataloading/nnInteractive_clicks.py and `sparse_to_dense_point_gauss` in
nnunetv2/training/dataloading/utils.py of autoPET-interactive.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pydantic.dataclasses
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from common.case import Click
from common.documents import STRICT
from common.inference.volume import ArrayChannel, Channel, Window
from common.nnunet.resample import Shape
from common.nnunet.space import NetworkSpace

logger = logging.getLogger(__name__)

Encoding = Literal["distance", "gaussian"]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class ClickSettings:
    """The encoding of clicks that the network was trained with."""

    point_width: float
    """Radius of the ball (an integer) or standard deviation of the Gaussian, in voxels of network space."""
    encoding: Encoding

    def __post_init__(self) -> None:
        if self.point_width <= 0 or (self.encoding == "distance" and self.point_width % 1):
            raise ValueError(
                f"found point_width {self.point_width:g} for encoding {self.encoding!r}, expected more "
                "than 0, and a whole number for a ball"
            )


@dataclass(frozen=True)
class BallChannel:
    """A channel of balls, which are drawn into a tile when it is read."""

    centres: NDArray[np.intp]
    """Voxels in network space, (n, 3)."""
    ball: NDArray[np.float32]
    """One ball in a cube of odd size."""

    def read(self, window: Window, out: NDArray[np.float32]) -> None:
        """Draw the balls that overlap the window, on a background of zeros."""
        out[...] = 0
        radius = self.ball.shape[0] // 2
        first = np.array([w.start for w in window])
        last = np.array([w.stop for w in window]) - 1
        near = np.all((self.centres >= first - radius) & (self.centres <= last + radius), axis=1)
        for centre in self.centres[near] - first:
            low, high = np.maximum(centre - radius, 0), np.minimum(centre + radius + 1, out.shape)
            box = tuple(map(slice, low, high))
            part = tuple(map(slice, low - centre + radius, high - centre + radius))
            np.maximum(out[box], self.ball[part], out=out[box])


def click_channels(clicks: Sequence[Click], space: NetworkSpace, settings: ClickSettings) -> list[Channel]:
    """Return the channel of tumour clicks and the channel of background clicks, in network space.

    Clicks outside the image are ignored with a warning.
    """
    inside = [click for click in clicks if _is_inside(click, space.image_shape)]
    return [
        _channel([space.point(click.point) for click in inside if click.name == name], space.shape, settings)
        for name in ("tumor", "background")
    ]


def ball(radius: int) -> NDArray[np.float32]:
    """Return the Euclidean distance transform of a ball in its bounding cube, scaled to 1 at the centre."""
    offsets = np.arange(-radius, radius + 1) ** 2
    solid = offsets[:, None, None] + offsets[:, None] + offsets <= radius**2
    distance = distance_transform_edt(solid)
    return np.asarray(distance / distance.max(), np.float32)


def _is_inside(click: Click, shape: Shape) -> bool:
    inside = all(-0.5 <= p < size - 0.5 for p, size in zip(click.point, shape[::-1], strict=True))
    if not inside:
        logger.warning(
            "%s click at voxel (x, y, z) %s lies outside the image of size %s and is ignored",
            click.name,
            click.point,
            shape[::-1],
        )
    return inside


def _channel(points: list[Shape], shape: Shape, settings: ClickSettings) -> Channel:
    centres = np.array(points, np.intp).reshape(-1, 3)
    if settings.encoding == "distance":
        return BallChannel(centres, ball(int(settings.point_width)))
    impulses = np.zeros(shape, np.float32)
    impulses[tuple(np.minimum(centres, np.array(shape) - 1).T)] = 1
    return ArrayChannel(gaussian_filter(impulses, settings.point_width))
