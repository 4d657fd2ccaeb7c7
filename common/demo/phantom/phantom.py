"""A synthetic whole-body PET/CT case, drawn from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.case import Click
from common.demo.phantom.anatomy import draw_tissues
from common.demo.phantom.foci import LESION, draw_foci
from common.demo.phantom.sampling import Sampling
from common.demo.phantom.scanner import scan
from common.demo.phantom.solids import Point
from common.demo.phantom.tissue import Tissue
from common.demo.phantom.variation import Variation
from common.geometry import Geometry

DEFAULT_SHAPE = (240, 96, 128)
DEFAULT_SPACING = (4.0, 4.0, 4.0)
MIDDLE_OF_BODY = (400.0, 0.0, 0.0)
"""The point (z, y, x) in mm on which the field of view is centred."""
MAX_LESIONS = 8
INFLAMED = 0.35
"""Share of patients with inflamed foci."""
HOT_ORGANS = ("bladder", "brain", "renal pelvis", "heart")
"""Organs that a reader marks as background."""


@dataclass(frozen=True)
class Phantom:
    """A PET/CT case whose lesions are known; arrays are (z, y, x)."""

    ct: NDArray[np.float32]
    """HU."""
    pet: NDArray[np.float32]
    """SUV."""
    truth: NDArray[np.uint8]
    """1 in lesions; inflamed foci, which look the same, are 0."""
    geometry: Geometry
    focus_clicks: tuple[Click, ...]
    """`tumor` in the middle of every lesion, `background` in that of every inflamed focus."""
    organ_clicks: tuple[Click, ...]
    """`background` in hot organs."""

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All that a reader might give."""
        return self.focus_clicks + self.organ_clicks


@dataclass(frozen=True)
class Patient:
    """A body, before any scan."""

    stature: Point
    """Size relative to the usual body, (z, y, x)."""
    tissues: list[Tissue]
    foci: list[Tissue]


def make_phantom(
    seed: int,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
    lesions: int | None = None,
    inflammations: int | None = None,
) -> Phantom:
    """Scan one patient on one grid; the same seed is the same patient on every grid.

    `shape` and `spacing` (mm) are (z, y, x). The field of view is centred on the body and may cut it. Unless
    told otherwise there are 1 to 8 lesions and now and then inflamed foci. A body may have no room for all.
    """
    for_body, for_scan = np.random.default_rng(seed).spawn(2)
    patient = draw_patient(for_body, lesions, inflammations)
    geometry = _field_of_view(shape, spacing)
    sampling = Sampling(shape, geometry.origin[::-1], spacing, patient.stature)
    ct, pet = scan([*patient.tissues, *patient.foci], sampling, for_scan)
    truth = _truth(patient, sampling)
    hot_organs = [tissue for tissue in patient.tissues if tissue.name in HOT_ORGANS]
    focus_clicks, organ_clicks = (
        tuple(_clicks(tissues, sampling, truth)) for tissues in (patient.foci, hot_organs)
    )
    return Phantom(ct, pet, truth, geometry, focus_clicks, organ_clicks)


def draw_patient(
    rng: np.random.Generator, lesions: int | None = None, inflammations: int | None = None
) -> Patient:
    """Draw a body with its organs and foci."""
    vary = Variation(rng)
    height, girth = vary.about(1.0, 0.03), vary.between(0.94, 1.08)
    tissues = draw_tissues(vary)
    if lesions is None:
        lesions = int(rng.integers(1, MAX_LESIONS + 1))
    if inflammations is None:
        inflammations = int(rng.integers(1, 3)) if vary.happens(INFLAMED) else 0
    return Patient((height, girth, girth), tissues, draw_foci(vary, tissues, lesions, inflammations))


def _field_of_view(shape: tuple[int, int, int], spacing: Point) -> Geometry:
    z, y, x = shape
    corner = [
        middle - step * (size - 1) / 2
        for middle, step, size in zip(MIDDLE_OF_BODY, spacing, shape, strict=True)
    ]
    return Geometry(
        size=(x, y, z),
        spacing=(spacing[2], spacing[1], spacing[0]),
        origin=(corner[2], corner[1], corner[0]),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    )


def _truth(patient: Patient, sampling: Sampling) -> NDArray[np.uint8]:
    truth = np.zeros(sampling.shape, np.uint8)
    for lesion in (focus for focus in patient.foci if focus.name == LESION):
        for box, distance in sampling.distances(lesion.shape):
            truth[box] |= distance < 0
    return truth


def _clicks(tissues: list[Tissue], sampling: Sampling, truth: NDArray[np.uint8]) -> Iterator[Click]:
    for tissue in tissues:
        voxel = sampling.deepest_voxel(tissue.shape)
        if voxel is not None and bool(truth[voxel]) == (tissue.name == LESION):
            z, y, x = map(float, voxel)
            yield Click((x, y, z), "tumor" if tissue.name == LESION else "background")
