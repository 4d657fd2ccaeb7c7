"""Simulated PET/CT acquisition: sampling with partial-volume effect, PET resolution, noise."""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter

from common.demo.phantom.sampling import SLICES_PER_SLAB, Sampling
from common.demo.phantom.solids import Field, Point
from common.demo.phantom.tissue import Tissue

PET_RESOLUTION = 5.5
"""Full width at half maximum of the point spread function, in mm."""
PET_NOISE_FWHM = 5.0
"""Full width at half maximum of the kernel that correlates neighbouring PET noise, in mm."""
PET_NOISE_STD = 0.16
"""Standard deviation at 1 SUV; it grows with the square root of the uptake, as for Poisson noise."""
CT_NOISE_STD = 14.0
"""Standard deviation, in HU."""
AIR_HU, AIR_SUV = -1000.0, 0.02
MIN_HU = -1024.0


def scan(tissues: Iterable[Tissue], sampling: Sampling, rng: np.random.Generator) -> tuple[Field, Field]:
    """Simulate CT (HU) and PET (SUV), both float32 (z, y, x)."""
    ct = np.full(sampling.shape, AIR_HU, np.float32)
    pet = np.full(sampling.shape, AIR_SUV, np.float32)
    for tissue in tissues:
        for box, fraction in sampling.volume_fractions(tissue.shape):
            ct[box] += fraction * (tissue.hu - ct[box])
            pet[box] += fraction * (tissue.suv - pet[box])
    _blur(pet, PET_RESOLUTION, sampling.spacing)
    _add_pet_noise(pet, sampling.spacing, rng)
    _add_ct_noise(ct, rng)
    return ct, pet


def _add_pet_noise(pet: Field, spacing: Point, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(pet.shape, np.float32)
    _blur(noise, PET_NOISE_FWHM, spacing)
    scale = PET_NOISE_STD / max(float(noise.std()), 1e-6)
    for start in range(0, len(pet), SLICES_PER_SLAB):
        slab = pet[start : start + SLICES_PER_SLAB]
        slab += scale * np.sqrt(slab) * noise[start : start + SLICES_PER_SLAB]
        np.maximum(slab, 0, out=slab)


def _add_ct_noise(ct: Field, rng: np.random.Generator) -> None:
    for start in range(0, len(ct), SLICES_PER_SLAB):
        slab = ct[start : start + SLICES_PER_SLAB]
        slab += CT_NOISE_STD * rng.standard_normal(slab.shape, np.float32)
        np.maximum(np.rint(slab, out=slab), MIN_HU, out=slab)


def _blur(volume: Field, fwhm: float, spacing: Point) -> None:
    sigma = fwhm / np.sqrt(8 * np.log(2))
    gaussian_filter(volume, sigma / np.asarray(spacing), output=volume, truncate=3)
