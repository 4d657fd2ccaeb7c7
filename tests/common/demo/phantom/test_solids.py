import numpy as np
import pytest

from common.demo.phantom.solids import Blob, Column, Ellipsoid, Field, Inset, Intersection, Rings, Solid, Tube

COLUMN = Column((-20, 0, 25), (10, 15, 8), (20, 18, 15), (0, 2, -3))
SHAPES: list[Solid] = [
    Ellipsoid((3, -4, 5), (20, 8, 12), angle=0.6),
    Tube(((0, 0, 0), (20, 5, -10), (25, -15, 4)), (6, 4, 8)),
    Blob(((0, 0, 0), (6, 3, -2)), (9, 7)),
    COLUMN,
    Inset(Ellipsoid((0, 0, 0), (12, 14, 10)), 3),
    Inset(Ellipsoid((0, 0, 0), (12, 14, 10)), -4),
    Intersection(Ellipsoid((0, 0, 0), (15, 15, 15)), Ellipsoid((5, 5, 5), (10, 20, 10))),
    Rings(Inset(COLUMN, 3), lowest=-15, highest=20, pitch=8, height=3, thickness=4),
]


def distances(shape: Solid) -> tuple[Field, Field]:
    axis = np.arange(-40, 41, dtype=np.float32)
    return axis, np.asarray(shape.distance(axis[:, None, None], axis[:, None], axis))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_bounds_hold_the_whole_shape(shape: Solid) -> None:
    axis, distance = distances(shape)
    inside = np.argwhere(distance < 0)
    assert len(inside) > 100
    lower, upper = shape.bounds()
    assert np.all(axis[inside.min(axis=0)] >= np.array(lower) - 1e-3)
    assert np.all(axis[inside.max(axis=0)] <= np.array(upper) + 1e-3)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_distances_stay_in_single_precision(shape: Solid) -> None:
    assert distances(shape)[1].dtype == np.float32


def test_distance_is_in_mm_near_the_surface() -> None:
    sphere = Ellipsoid((0, 0, 0), (10, 10, 10))
    y, x = np.float32(0).reshape(1, 1), np.float32(0).reshape(1)
    z = np.array([6, 9, 10, 11, 14], np.float32).reshape(-1, 1, 1)
    assert sphere.distance(z, y, x).ravel() == pytest.approx([-4, -1, 0, 1, 4], abs=1e-4)


def test_ellipsoid_has_the_volume_of_one() -> None:
    _, distance = distances(Ellipsoid((1, 2, 3), (20, 8, 12), angle=0.9))
    assert (distance < 0).sum() == pytest.approx(4 / 3 * np.pi * 20 * 8 * 12, rel=0.02)


def test_column_tapers_between_its_heights() -> None:
    _, distance = distances(Column((-20, 20), (10, 30), (10, 30), (0, 0)))
    areas = (distance < 0).sum(axis=(1, 2))
    assert areas[40] == pytest.approx(np.pi * 20 * 20, rel=0.03)
    assert areas[25] < areas[40] < areas[55]


def test_rings_repeat_with_their_pitch() -> None:
    column = Column((-40, 40), (20, 20), (20, 20), (0, 0))
    _, distance = distances(Rings(column, lowest=-30, highest=30, pitch=12, height=5, thickness=4, slope=0))
    filled = (distance < 0).any(axis=(1, 2)).astype(int)
    assert (np.diff(filled) == 1).sum() == 5
