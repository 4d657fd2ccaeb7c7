"""The README's picture: the PET's maximum-intensity projection, the mask's outline, and the clicks.

    python docs/picture.py CASE MASK PICTURE

CASE is what `petct phantom` wrote, MASK what the algorithm made of it. Red: the mask; green: the truth.
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

HOTTEST_SUV = 10.0
ZOOM = 3
RED, GREEN = (220, 30, 30), (20, 150, 60)

Picture = NDArray[np.uint8]


def project(path: Path) -> NDArray[np.float32]:
    """An image's maximum from front to back, head up."""
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)).astype(np.float32)
    return np.kron(voxels.max(axis=1)[::-1], np.ones((ZOOM, ZOOM), np.float32))


def grey(pet: NDArray[np.float32]) -> Picture:
    """Black is hot, as nuclear medicine shows it."""
    level = 255 * (1 - np.clip(pet / HOTTEST_SUV, 0, 1))
    return np.repeat(level.astype(np.uint8)[..., None], 3, axis=2)


def outline(picture: Picture, mask: NDArray[np.float32], colour: tuple[int, int, int]) -> Picture:
    """A copy of the picture with the mask's border drawn in."""
    drawn = picture.copy()
    inside = mask > 0
    drawn[inside & ~binary_erosion(inside)] = colour
    return drawn


def main(case: Path, mask: Path, target: Path) -> None:
    """Draw PET, truth and mask side by side."""
    (pet,) = (case / "input" / "images" / "pet").glob("*.mha")
    (truth,) = (case / "truth").glob("*.mha")
    plain = grey(project(pet))
    panels = [plain, outline(plain, project(truth), GREEN), outline(plain, project(mask), RED)]
    picture = SimpleITK.GetImageFromArray(np.concatenate(panels, axis=1), isVector=True)
    SimpleITK.WriteImage(picture, target)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
