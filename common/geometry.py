"""Where an image's voxels lie in the patient."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def triple(values: Iterable[T]) -> tuple[T, T, T]:
    """Return three values as a tuple; `ValueError` for any other number of values."""
    first, second, third = values
    return first, second, third


@dataclass(frozen=True)
class Geometry:
    """The grid of a three-dimensional image, in SimpleITK's (x, y, z) order."""

    size: tuple[int, int, int]
    """Voxels along x, y, z."""
    spacing: tuple[float, float, float]
    """Voxel edges along x, y, z, in mm."""
    origin: tuple[float, float, float]
    """Centre of the first voxel, in mm."""
    direction: tuple[float, ...]
    """Row-major 3×3 direction cosines."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        x, y, z = self.size
        return z, y, x

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Voxel edges in array order (z, y, x), in mm."""
        x, y, z = self.spacing
        return z, y, x

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, in ml."""
        x, y, z = self.spacing
        return x * y * z / 1000

    def __str__(self) -> str:
        """`4 × 4 × 3 voxels of 2.0 × 2.0 × 3.0 mm from 0.0, 0.0, 0.0 mm`, for a message."""
        size = " × ".join(map(str, self.size))
        spacing = " × ".join(map(_rounded, self.spacing))
        return f"{size} voxels of {spacing} mm from {', '.join(map(_rounded, self.origin))} mm"


def _rounded(length: float) -> str:
    return str(round(length, 4))
