"""An image turned so that a reader sees the patient upright, as radiologists look at patients."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.geometry import Geometry, triple

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class View:
    """Which of an image's axes runs along the patient's, and in which direction."""

    axes: tuple[int, int, int]
    """The array's axes that run from head to foot, front to back, right to left."""
    flips: tuple[bool, bool, bool]
    """Whether each of these runs the other way."""
    spacing: tuple[float, float, float]
    """Voxel edges along them, in mm."""

    @classmethod
    def of(cls, geometry: Geometry) -> "View":
        """The nearest right-angled view of a grid, which may be oblique.

        An image's physical axes run to the patient's left, back and head.
        """
        cosines = np.reshape(geometry.direction, (3, 3))[::-1, ::-1].copy()  # patient's by array's, z, y, x
        axes: list[int] = []
        for row in cosines:
            free = [axis for axis in range(3) if axis not in axes]
            axes.append(max(free, key=lambda axis: abs(row[axis])))
        signs = [cosines[row, axis] < 0 for row, axis in enumerate(axes)]
        spacing = geometry.spacing_zyx
        return cls(
            triple(axes),
            (not signs[0], bool(signs[1]), bool(signs[2])),  # up in the patient is up on the page
            triple(spacing[axis] for axis in axes),
        )

    def turn(self, volume: NDArray[T]) -> NDArray[T]:
        """A view of the volume (z, y, x) whose axes run from head to foot, front to back, right to left."""
        turned = volume.transpose(self.axes)
        return np.flip(turned, tuple(axis for axis, flip in enumerate(self.flips) if flip))

    def place(self, point: tuple[float, float, float], shape: tuple[int, ...]) -> tuple[float, float, float]:
        """Where a point in voxels (x, y, z) of a volume of that shape (z, y, x) lies in the turned one."""
        zyx = point[::-1]
        return triple(
            shape[axis] - 1 - zyx[axis] if flip else zyx[axis]
            for axis, flip in zip(self.axes, self.flips, strict=True)
        )
