"""Focal uptake: lesions, and inflammation of the same appearance."""

from dataclasses import dataclass

import numpy as np

from common.demo.phantom.skeleton import SIDES, vertebrae
from common.demo.phantom.solids import Blob, Ellipsoid, Point, Solid
from common.demo.phantom.tissue import Tissue
from common.demo.phantom.variation import Variation
from common.geometry import triple

LESION, INFLAMMATION = "lesion", "inflammation"

HOT_SUV = 3.5
"""Foci keep a distance from organs of higher uptake, in which they could not be seen."""
MIN_GAP = 6.0
"""Minimum distance in mm between a focus and such an organ or another focus."""
MAX_ATTEMPTS = 200
MIN_IRREGULAR_DIAMETER = 14.0
"""Foci of a smaller diameter, in mm, are ellipsoids."""


@dataclass(frozen=True)
class Site:
    """A region of the body in which foci occur, and their appearance there."""

    centres: tuple[Point, ...]
    reach: Point
    """Maximum distance of a focus from a centre along (z, y, x), in mm."""
    hu: float
    suv: tuple[float, float]
    """Minimum and maximum."""
    diameter: tuple[float, float]
    """Minimum and maximum, in mm."""


def _both_sides(z: float, y: float, x: float) -> tuple[Point, ...]:
    return tuple((z, y, side * x) for side in SIDES)


NODE_SUV, NODE_DIAMETER = (3.5, 14.0), (8.0, 28.0)
SITES = (
    Site(((385, 0, -75),), (40, 40, 32), hu=45, suv=(5.5, 13), diameter=(10, 40)),
    Site(_both_sides(515, 10, 82), (65, 50, 22), hu=20, suv=(2.5, 13), diameter=(8, 40)),
    Site(((545, 0, 0),), (45, 22, 25), hu=40, suv=NODE_SUV, diameter=NODE_DIAMETER),
    Site(((240, 18, 0),), (60, 13, 35), hu=40, suv=NODE_SUV, diameter=NODE_DIAMETER),
    Site(_both_sides(672, 12, 35), (23, 18, 10), hu=40, suv=NODE_SUV, diameter=NODE_DIAMETER),
    Site(_both_sides(590, 8, 132), (15, 12, 12), hu=40, suv=NODE_SUV, diameter=NODE_DIAMETER),
    Site(_both_sides(85, -28, 62), (65, 18, 18), hu=40, suv=NODE_SUV, diameter=NODE_DIAMETER),
    Site(_both_sides(145, 25, 92), (35, 15, 7), hu=450, suv=(3.5, 12), diameter=(10, 32)),
    Site(_both_sides(-40, 6, 110), (80, 4, 5), hu=350, suv=(3, 10), diameter=(10, 30)),
    Site(tuple(v.centre for v in vertebrae()), (6, 8, 10), hu=450, suv=(3.5, 12), diameter=(10, 30)),
)


def draw_foci(vary: Variation, tissues: list[Tissue], lesions: int, inflammations: int) -> list[Tissue]:
    """Sample foci of both kinds that keep their distances; fewer where no space is left."""
    names = [LESION] * lesions + [INFLAMMATION] * inflammations
    taken = [tissue.shape for tissue in tissues if tissue.suv > HOT_SUV]
    foci: list[Tissue] = []
    for _ in range(MAX_ATTEMPTS):
        if len(foci) == len(names):
            break
        site = vary.one_of(SITES)
        centre = vary.near(vary.one_of(site.centres), site.reach)
        diameter = vary.between(*site.diameter)
        if _is_free(centre, diameter / 2 + MIN_GAP, taken):
            shape = _shape(vary, centre, diameter)
            foci.append(Tissue(names[len(foci)], shape, vary.about(site.hu, 0.2), vary.between(*site.suv)))
            taken.append(shape)
    return foci


def _is_free(centre: Point, radius: float, taken: list[Solid]) -> bool:
    z, y, x = (np.float32(coordinate).reshape(1) for coordinate in centre)
    return all(shape.distance(z, y, x).item() > radius for shape in taken)


def _shape(vary: Variation, centre: Point, diameter: float) -> Solid:
    radius = diameter / 2
    if diameter < MIN_IRREGULAR_DIAMETER or vary.happens(0.4):
        radii = triple(vary.between(0.8, 1.1) * radius for _ in range(3))
        return Ellipsoid(centre, radii, angle=vary.between(0, np.pi))
    spheres = int(vary.rng.integers(3, 7))
    others = tuple(vary.near(centre, 0.42 * radius) for _ in range(spheres))
    return Blob((centre, *others), (0.65 * radius, *(vary.between(0.35, 0.6) * radius for _ in others)))
