"""Arrays as SimpleITK's images, and allocations that fail there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import SimpleITK
from numpy.typing import NDArray

from common.errors import MachineError
from common.geometry import Geometry


def image_of(voxels: NDArray[Any], geometry: Geometry) -> SimpleITK.Image:
    """Copy voxels (z, y, x) into an image."""
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return image


@contextmanager
def enough_memory_to(purpose: str) -> Iterator[None]:
    """Raise `MachineError` for an allocation that failed in NumPy or, as a `RuntimeError`, in SimpleITK."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise MachineError(f"not enough memory to {purpose}; use a machine that has more") from error
