"""Focal uptake: lesions, and inflammation that looks just like them."""

from dataclasses import dataclass

import numpy as np

from common.demo.phantom.skeleton import SIDES, vertebrae
from common.demo.phantom.solids import Blob, Ellipsoid, Point, Solid
from common.demo.phantom.tissue import Tissue
from common.demo.phantom.variation import Variation

LESION, INFLAMMATION = "lesion", "inflammation"

HOT_SUV = 3.5
"""Organs above this keep their distance from a focus, which would drown in them."""
GAP = 6.0
"""Mm that stay free between a focus and its hot neighbours."""
MAX_TRIES = 200
ROUND_BELOW = 14.0
"""Foci of less mm across have a smooth outline."""


@dataclass(frozen=True)
class Site:
    """Where foci settle, and what they look like there."""

    places: tuple[Point, ...]
    reach: Point
    """Mm around each place."""
    hu: float
    suv: tuple[float, float]
    diameter: tuple[float, float]
    """Mm."""


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
    """Draw that many foci of either kind, fewer where no room is left."""
    names = [LESION] * lesions + [INFLAMMATION] * inflammations
    taken = [tissue.shape for tissue in tissues if tissue.suv > HOT_SUV]
    foci: list[Tissue] = []
    for _ in range(MAX_TRIES):
        if len(foci) == len(names):
            break
        site = vary.one_of(SITES)
        place = vary.near(vary.one_of(site.places), site.reach)
        diameter = vary.between(*site.diameter)
        if _is_free(place, diameter / 2 + GAP, taken):
            shape = _outline(vary, place, diameter)
            foci.append(Tissue(names[len(foci)], shape, vary.about(site.hu, 0.2), vary.between(*site.suv)))
            taken.append(shape)
    return foci


def _is_free(place: Point, radius: float, taken: list[Solid]) -> bool:
    z, y, x = (np.float32(coordinate).reshape(1) for coordinate in place)
    return all(shape.distance(z, y, x).item() > radius for shape in taken)


def _outline(vary: Variation, place: Point, diameter: float) -> Solid:
    radius = diameter / 2
    if diameter < ROUND_BELOW or vary.happens(0.4):
        z, y, x = (vary.between(0.8, 1.1) * radius for _ in range(3))
        return Ellipsoid(place, (z, y, x), angle=vary.between(0, np.pi))
    knobs = int(vary.rng.integers(3, 7))
    centres = tuple(vary.near(place, 0.42 * radius) for _ in range(knobs))
    return Blob((place, *centres), (0.65 * radius, *(vary.between(0.35, 0.6) * radius for _ in centres)))
