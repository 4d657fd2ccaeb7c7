"""Random patches of synthetic patients, to train the demo networks on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple
from common.inference.volume import Volume
from common.nnunet.resample import Shape

FOREGROUND_PROBABILITY = 0.6
"""Probability that a patch is sampled around one of the subject's centres, not anywhere in the volume."""
MAX_CENTRE_OFFSET = 0.3
"""Maximum distance of that centre from the middle of the patch, relative to the patch size."""

Batch = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Patches (B, C, z, y, x) and their ground-truth labels (B, z, y, x)."""


class Subject(Protocol):
    """A training case in network space."""

    @property
    def truth(self) -> Volume:
        """Ground truth: one channel with the class of every voxel."""
        ...

    @property
    def centres(self) -> Sequence[Shape]:
        """Voxels (z, y, x) around which patches are sampled more often; may be empty."""
        ...

    def volume(self, rng: np.random.Generator) -> Volume:
        """Return the input channels; some may be randomised at every call."""
        ...


@dataclass(frozen=True)
class FixedSubject:
    """A training case whose input channels are always the same."""

    image: Volume
    truth: Volume
    centres: Sequence[Shape]

    def volume(self, rng: np.random.Generator) -> Volume:
        """Return the input channels."""
        return self.image


@dataclass(frozen=True)
class PatchSampler:
    """Samples batches of patches from randomly chosen subjects."""

    subjects: Sequence[Subject]
    patch: Shape
    """Patch size in voxels, (z, y, x)."""
    batch: int
    """Patches per batch."""

    def __call__(self, rng: np.random.Generator) -> Batch:
        """Sample one batch."""
        images, truths = zip(*(self._sample(rng) for _ in range(self.batch)), strict=True)
        return np.stack(images), np.stack(truths)

    def _sample(self, rng: np.random.Generator) -> Batch:
        subject = self.subjects[int(rng.integers(len(self.subjects)))]
        start = self._start(subject, rng)
        truth = subject.truth.tile(start, self.patch)[0].astype(np.uint8)
        return subject.volume(rng).tile(start, self.patch), truth

    def _start(self, subject: Subject, rng: np.random.Generator) -> Shape:
        margin = np.subtract(subject.truth.shape, self.patch)
        lowest, highest = np.minimum(0, margin // 2), np.maximum(margin, margin // 2)
        if len(subject.centres) and rng.random() < FOREGROUND_PROBABILITY:
            centre = subject.centres[int(rng.integers(len(subject.centres)))]
            middle = centre + rng.uniform(-MAX_CENTRE_OFFSET, MAX_CENTRE_OFFSET, 3) * self.patch
            start = np.clip(np.rint(middle - np.array(self.patch) / 2).astype(int), lowest, highest)
        else:
            start = rng.integers(lowest, highest, endpoint=True)
        return triple(start.tolist())
