"""A patient's soft tissues as solids with typical CT numbers and FDG uptake.

Heights (z) are measured from the perineum; the arms are raised, as in most whole-body scans. Uptake is within
the usual ranges of body-weight SUV one hour after injection. Position, size and uptake of the organs vary
between patients.
"""

from collections.abc import Iterator

from common.demo.phantom.skeleton import SIDES, bones
from common.demo.phantom.solids import Column, Ellipsoid, Inset, Intersection, Point, Solid, Tube
from common.demo.phantom.tissue import Tissue
from common.demo.phantom.variation import Variation


def draw_tissues(vary: Variation) -> list[Tissue]:
    """Sample all tissues of one patient; where two overlap, the later one covers the earlier one."""
    trunk = _trunk(vary)
    return [
        *_flesh(trunk),
        *_chest(vary, trunk),
        *_abdomen(vary, trunk),
        *_urinary_tract(vary),
        *bones(vary, trunk),
        *_head(vary),
    ]


def _trunk(vary: Variation) -> Column:
    waist = vary.about(1.0)
    return Column(
        heights=(-40, 0, 80, 180, 260, 380, 500, 580, 620, 645, 665, 745),
        half_depths=(88, 105, 115, 108 * waist, 106 * waist, 114, 117, 102, 84, 70, 62, 64),
        half_widths=(172, 178, 186, 168 * waist, 160 * waist, 168, 178, 184, 168, 110, 66, 60),
        middles=(5, 5, 4, 0, 0, 0, 0, 6, 10, 12, 12, 8),
    )


def _flesh(trunk: Column) -> Iterator[Tissue]:
    limbs: list[Solid] = [trunk, Ellipsoid((790, -4, 0), (104, 104, 82))]
    for side in SIDES:
        limbs.append(Tube(((70, 0, 85 * side), (-260, 8, 92 * side)), (94, 70)))
        limbs.append(
            Tube(((600, 10, 150 * side), (790, 5, 196 * side), (960, -30, 120 * side)), (54, 38, 28))
        )
    for limb in limbs:
        yield Tissue("fat", limb, hu=-95, suv=0.35)
    for limb in limbs:
        yield Tissue("muscle", Inset(limb, 13), hu=45, suv=0.75)
    cavity = Ellipsoid((230, -22, 0), (165, 72, 128))
    yield Tissue("mesentery", Intersection(cavity, Inset(trunk, 26)), hu=-60, suv=0.6)


def _chest(vary: Variation, trunk: Column) -> Iterator[Tissue]:
    wall = Inset(trunk, 27)
    air = vary.between(-860, -780)
    for side in SIDES:
        lung = Ellipsoid(vary.near((508, 8, 82 * side)), vary.scaled((140, 88, 62)))
        yield Tissue("lung", Intersection(lung, wall), hu=air, suv=0.45)
    yield Tissue("airways", Tube(((730, -20, 0), (650, 5, 0), (570, 12, 0)), (9, 9, 9)), hu=-990, suv=0.35)
    blood = vary.about(1.6)
    course: tuple[Point, ...] = ((530, -20, 5), (578, -5, 8), (580, 35, 18), (540, 48, 22), (230, 38, 10))
    yield Tissue("aorta", Tube(course, (14, 14, 13, 12, 9)), hu=45, suv=blood)
    heart = Ellipsoid(vary.near((472, -35, 26)), vary.scaled((50, 42, 54)), angle=vary.between(0.3, 0.7))
    fasted = vary.happens(0.6)
    yield Tissue("heart", heart, hu=50, suv=vary.between(1.6, 3) if fasted else vary.between(4, 9))
    yield Tissue("blood pool", Inset(heart, 13), hu=45, suv=blood)


def _abdomen(vary: Variation, trunk: Column) -> Iterator[Tissue]:
    wall = Inset(trunk, 24)
    liver_hu, liver_suv = vary.between(50, 65), vary.about(2.3, 0.12)
    right = Ellipsoid(vary.near((385, 6, -72)), vary.scaled((82, 84, 86)))
    left = Ellipsoid(vary.near((405, -40, 18)), vary.scaled((38, 42, 74)), angle=0.2)
    for lobe in (right, left):
        yield Tissue("liver", Intersection(lobe, wall), liver_hu, liver_suv)
    spleen = Ellipsoid(vary.near((390, 48, 108)), vary.scaled((52, 34, 26)), angle=-0.3)
    yield Tissue("spleen", Intersection(spleen, wall), hu=50, suv=vary.about(1.9, 0.1))
    stomach: tuple[Point, ...] = ((425, -5, 62), (375, -48, 66), (335, -58, 20))
    yield Tissue("stomach", Tube(stomach, (22, 27, 16)), hu=25, suv=vary.between(1, 2.8))
    yield from _bowel(vary)


def _bowel(vary: Variation) -> Iterator[Tissue]:
    small_bowel_suv = vary.between(1, 2)
    for _ in range(6):
        loop = tuple(vary.within((110, -75, -75), (260, -10, 75)) for _ in range(3))
        yield Tissue("small bowel", Tube(loop, (12, 12, 12)), hu=30, suv=vary.about(small_bowel_suv, 0.25))
    colon = (
        vary.near((130, -15, -95)),
        vary.near((300, -20, -108)),
        vary.near((285, -68, 0)),
        vary.near((320, -20, 112)),
        vary.near((150, -10, 100)),
        vary.near((110, 25, 20)),
    )
    yield Tissue("colon", Tube(colon, (23, 21, 18, 18, 17, 15)), hu=10, suv=vary.between(0.7, 2.2))
    yield Tissue("bowel gas", Tube(colon[1:4], (11, 9, 8)), hu=-880, suv=0.4)


def _urinary_tract(vary: Variation) -> Iterator[Tissue]:
    cortex_suv, urine_suv = vary.between(2.2, 4.5), vary.between(7, 25)
    for side in SIDES:
        z, y, x = vary.near((318, 52, 66 * side))
        kidney = Ellipsoid((z, y, x), vary.scaled((56, 27, 28)), angle=-0.25 * side)
        yield Tissue("kidney", kidney, hu=35, suv=cortex_suv)
        renal_pelvis = Ellipsoid((z - 3, y, x - 8 * side), (22, 8, 9))
        yield Tissue("renal pelvis", renal_pelvis, hu=10, suv=vary.about(urine_suv, 0.3))
        if vary.happens(0.4):
            peristalsis = vary.near((200, 30, 38 * side), reach=12)
            ureter = Tube((peristalsis, (peristalsis[0] - 25, *peristalsis[1:])), (3, 3))
            yield Tissue("ureter", ureter, hu=10, suv=vary.about(urine_suv, 0.3))
    filling = vary.between(0.75, 1.2)
    bladder = Ellipsoid(vary.near((82, -45, 0)), vary.scaled((32 * filling, 30 * filling, 40 * filling)))
    yield Tissue("bladder", bladder, hu=8, suv=vary.about(urine_suv, 0.3))


def _head(vary: Variation) -> Iterator[Tissue]:
    gray_suv = vary.between(6, 11)
    brain = Ellipsoid((806, 0, 0), vary.scaled((64, 80, 65)))
    cerebellum = Ellipsoid((752, 42, 0), (28, 30, 46))
    for part in (brain, cerebellum):
        yield Tissue("skull", Inset(part, -8), hu=900, suv=1)
    for part in (brain, cerebellum):
        yield Tissue("brain", part, hu=35, suv=gray_suv)
    yield Tissue("white matter", Inset(brain, 17), hu=30, suv=0.45 * gray_suv)
    for side in SIDES:
        yield Tissue("basal ganglia", Ellipsoid((808, -5, 20 * side), (14, 20, 9)), hu=35, suv=gray_suv)
        parotid = Ellipsoid((728, 12, 50 * side), (22, 13, 10))
        yield Tissue("parotid gland", parotid, hu=10, suv=vary.between(1.3, 2.6))
        tonsil = Ellipsoid((716, -12, 14 * side), (9, 7, 6))
        yield Tissue("tonsil", tonsil, hu=45, suv=vary.between(1.5, 4))
    yield Tissue("sinuses", Ellipsoid((742, -66, 0), (18, 18, 22)), hu=-950, suv=0.4)
