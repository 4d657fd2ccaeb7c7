"""Synthetic whole-body PET/CT cases, reproducible by a seed."""

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
BODY_CENTRE = (400.0, 0.0, 0.0)
"""The point (z, y, x) in mm on which the field of view is centred."""
MAX_LESIONS = 8
INFLAMMATION_PROBABILITY = 0.35
"""Probability that a patient has inflamed foci."""
HOT_ORGANS = ("bladder", "brain", "renal pelvis", "heart")
"""Organs of high physiological uptake, which a reader marks with background clicks."""


@dataclass(frozen=True)
class Phantom:
    """A PET/CT case with ground truth; arrays are (z, y, x)."""

    ct: NDArray[np.float32]
    """CT, in HU."""
    pet: NDArray[np.float32]
    """PET, in SUV."""
    truth: NDArray[np.uint8]
    """Ground truth: 1 in lesions, 0 elsewhere, also in inflamed foci, which look the same."""
    geometry: Geometry
    focus_clicks: tuple[Click, ...]
    """A `tumor` click in the centre of every lesion, a `background` click in that of every inflamed focus."""
    organ_clicks: tuple[Click, ...]
    """A `background` click in every hot organ."""

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks that a reader could set."""
        return self.focus_clicks + self.organ_clicks


@dataclass(frozen=True)
class Patient:
    """A body in continuous coordinates, before it is scanned."""

    scale: Point
    """Size relative to the reference body, (z, y, x)."""
    tissues: list[Tissue]
    foci: list[Tissue]


def make_phantom(
    seed: int,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
    lesions: int | None = None,
    inflammations: int | None = None,
) -> Phantom:
    """Generate a PET/CT case; the same seed gives the same patient on every grid.

    The field of view is centred on the body and may truncate it.

    Parameters
    ----------
    seed
        Of the patient and the noise.
    shape, spacing
        Image grid, (z, y, x), in voxels and in mm.
    lesions, inflammations
        Number of foci; fewer are placed where the body has no space for them. By default 1 to 8 lesions, and
        in some patients inflamed foci.

    """
    body_rng, scan_rng = np.random.default_rng(seed).spawn(2)
    patient = draw_patient(body_rng, lesions, inflammations)
    geometry = _field_of_view(shape, spacing)
    sampling = Sampling(shape, geometry.origin[::-1], spacing, patient.scale)
    ct, pet = scan([*patient.tissues, *patient.foci], sampling, scan_rng)
    truth = _truth(patient, sampling)
    hot_organs = [tissue for tissue in patient.tissues if tissue.name in HOT_ORGANS]
    focus_clicks, organ_clicks = (
        tuple(_clicks(tissues, sampling, truth)) for tissues in (patient.foci, hot_organs)
    )
    return Phantom(ct, pet, truth, geometry, focus_clicks, organ_clicks)


def draw_patient(
    rng: np.random.Generator, lesions: int | None = None, inflammations: int | None = None
) -> Patient:
    """Sample a body with its organs and foci; see `make_phantom` for the numbers of foci."""
    vary = Variation(rng)
    height, girth = vary.about(1.0, 0.03), vary.between(0.94, 1.08)
    tissues = draw_tissues(vary)
    if lesions is None:
        lesions = int(rng.integers(1, MAX_LESIONS + 1))
    if inflammations is None:
        inflammations = int(rng.integers(1, 3)) if vary.happens(INFLAMMATION_PROBABILITY) else 0
    return Patient((height, girth, girth), tissues, draw_foci(vary, tissues, lesions, inflammations))


def _field_of_view(shape: tuple[int, int, int], spacing: Point) -> Geometry:
    z, y, x = shape
    corner = [
        middle - step * (size - 1) / 2 for middle, step, size in zip(BODY_CENTRE, spacing, shape, strict=True)
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
