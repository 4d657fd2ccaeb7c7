from itertools import permutations, product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.geometry import Geometry
from common.report.view import View

ANATOMY = np.arange(4 * 5 * 6).reshape(4, 5, 6)
"""From head to foot, front to back, right to left."""


def upright() -> tuple[np.ndarray, np.ndarray]:
    """The anatomy as an image of the usual direction, z to the head; its direction."""
    return ANATOMY[::-1], np.eye(3)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_every_right_angled_image_shows_the_patient_upright(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    volume, direction = upright()
    volume = np.flip(volume.transpose(order), tuple(axis for axis in range(3) if flips[axis]))
    # Columns of the direction are the image's axes x, y, z; the array's are z, y, x.
    columns = direction[:, ::-1][:, list(order)] * np.where(flips, -1, 1)
    size = volume.shape[::-1]
    grid = Geometry(size, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(columns[:, ::-1].ravel()))
    view = View.of(grid)
    np.testing.assert_array_equal(view.turn(volume), ANATOMY)
    for point in ((0, 0, 0), (1, 2, 3)):
        turned = tuple(int(index) for index in view.place(point, volume.shape))
        assert ANATOMY[turned] == volume[point[::-1]]


def test_a_tilted_image_is_shown_in_its_nearest_view() -> None:
    tilt = Rotation.from_euler("xyz", (20, -15, 10), degrees=True).as_matrix()
    tilted = Geometry((6, 5, 4), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), tuple(tilt.ravel()))
    straight = Geometry((6, 5, 4), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    assert View.of(tilted) == View.of(straight)
    assert View.of(tilted).spacing == (3.0, 2.0, 1.0)
