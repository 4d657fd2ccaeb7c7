"""A patient's bones as solids: spine, ribs, pelvis, limbs, shoulder girdle."""

from collections.abc import Iterator

import numpy as np

from common.demo.phantom.solids import Column, Ellipsoid, Inset, Point, Rings, Solid, Tube
from common.demo.phantom.tissue import Tissue
from common.demo.phantom.variation import Variation

SIDES = (-1, 1)
"""Right and left, as the sign of x."""

SPINE_HEIGHTS = (140.0, 240.0, 380.0, 500.0, 620.0, 720.0)
SPINE_DEPTHS = (58.0, 45.0, 58.0, 72.0, 46.0, 22.0)
"""Distance of the vertebrae behind the midplane (y = 0), in mm, at these heights."""
VERTEBRAE = 22


def vertebrae() -> list[Ellipsoid]:
    """Return the vertebral bodies from the lowest lumbar to the upper cervical spine."""
    heights = _stacked(SPINE_HEIGHTS[0], SPINE_HEIGHTS[-1])
    gaps = np.gradient(heights)
    depths = np.interp(heights, SPINE_HEIGHTS, SPINE_DEPTHS)
    return [
        Ellipsoid((z, y, 0.0), (0.62 * gap, 0.52 * gap + 2, 0.68 * gap + 2))
        for z, y, gap in zip(heights.tolist(), depths.tolist(), gaps.tolist(), strict=True)
    ]


def bones(vary: Variation, trunk: Column) -> Iterator[Tissue]:
    """Sample all bones below the skull."""
    marrow = vary.between(0.9, 1.7)
    hu = vary.about(220, 0.15)
    ribs = Rings(Inset(trunk, 19), lowest=345, highest=620, pitch=25, height=11, thickness=8)
    yield Tissue("rib", ribs, hu=380, suv=0.9)
    for body in vertebrae():
        z, y, _ = body.centre
        arch = Tube(((z, y + 26, 0), (z - 8, y + 44, 0)), (6, 3))
        yield Tissue("vertebral arch", arch, hu=350, suv=0.8 * marrow)
        yield Tissue("vertebra", body, hu=hu, suv=marrow)
    yield from _cortical([Ellipsoid((112, 66, 0), (48, 17, 44))], hu, marrow, cortex=2.5)
    yield from _cortical(_hips(), hu, 0.9 * marrow, cortex=3)
    yield from _cortical(_limb_bones(), 90, 0.5, cortex=5)
    yield from _cortical(_shoulders(), hu, 0.8 * marrow, cortex=2.5)


def _cortical(shapes: list[Solid], hu: float, suv: float, cortex: float) -> Iterator[Tissue]:
    for shape in shapes:
        yield Tissue("cortical bone", shape, hu=750, suv=0.6)
    for shape in shapes:
        yield Tissue("marrow", Inset(shape, cortex), hu=hu, suv=suv)


def _hips() -> list[Solid]:
    shapes: list[Solid] = []
    for side in SIDES:
        ischium: tuple[Point, ...] = (
            (60, 12, 88 * side),
            (5, 28, 58 * side),
            (25, -40, 14 * side),
            (68, -10, 80 * side),
        )
        shapes.append(Ellipsoid((140, 25, 95 * side), (66, 48, 11), angle=-0.35 * side))
        shapes.append(Tube(ischium, (18, 11, 8, 12)))
    return shapes


def _limb_bones() -> list[Solid]:
    shapes: list[Solid] = []
    for side in SIDES:
        shapes.append(Tube(((62, 6, 92 * side), (40, 8, 128 * side)), (23, 16)))
        shapes.append(Tube(((40, 8, 128 * side), (-60, 5, 112 * side), (-270, 8, 100 * side)), (17, 14, 14)))
        shapes.append(Tube(((612, 12, 150 * side), (790, 6, 196 * side)), (19, 11)))
        shapes.append(Tube(((795, 4, 196 * side), (950, -28, 122 * side)), (10, 8)))
    return shapes


def _shoulders() -> list[Solid]:
    shapes: list[Solid] = [Tube(((590, -88, 0), (470, -102, 0)), (9, 8))]
    for side in SIDES:
        shapes.append(Tube(((598, -80, 18 * side), (640, -30, 90 * side), (630, 5, 140 * side)), (7, 6, 7)))
        shapes.append(Ellipsoid((560, 82, 108 * side), (60, 8, 34), angle=0.2 * side))
    return shapes


def _stacked(lowest: float, highest: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    sizes = np.linspace(34, 17, VERTEBRAE - 1)
    return lowest + (highest - lowest) * np.concatenate([[0.0], np.cumsum(sizes)]) / sizes.sum()
