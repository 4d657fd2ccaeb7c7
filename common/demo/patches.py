"""Random patches of synthetic patients, for the training of demo networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.inference.volume import Volume
from common.nnunet.resample import Shape

AROUND_PLACES = 0.6
"""Share of patches that hold a place worth looking at; the others lie anywhere."""
WOBBLE = 0.3
"""How far such a place may be from the middle of the patch, as a fraction of the patch."""

Batch = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Patches (B, C, z, y, x) and their truths (B, z, y, x)."""


class Subject(Protocol):
    """A patient to train on, in network space."""

    @property
    def truth(self) -> Volume:
        """The class of every voxel, in one channel."""
        ...

    @property
    def places(self) -> Sequence[Shape]:
        """Voxels (z, y, x) around which there is something to learn; may be none."""
        ...

    def volume(self, rng: np.random.Generator) -> Volume:
        """Give the input channels, of which some may be drawn anew each time."""
        ...


@dataclass(frozen=True)
class FixedSubject:
    """A patient whose input channels are always the same."""

    image: Volume
    truth: Volume
    places: Sequence[Shape]

    def volume(self, rng: np.random.Generator) -> Volume:
        """Give the input channels."""
        return self.image


@dataclass(frozen=True)
class PatchSampler:
    """Draws batches of patches from some subjects."""

    subjects: Sequence[Subject]
    patch: Shape
    batch: int

    def __call__(self, rng: np.random.Generator) -> Batch:
        """Draw one batch."""
        drawn = [self._draw(rng) for _ in range(self.batch)]
        images, truths = zip(*drawn, strict=True)
        return np.stack(images), np.stack(truths)

    def _draw(self, rng: np.random.Generator) -> Batch:
        subject = self.subjects[int(rng.integers(len(self.subjects)))]
        start = self._start(subject, rng)
        truth = subject.truth.tile(start, self.patch)[0].astype(np.uint8)
        return subject.volume(rng).tile(start, self.patch), truth

    def _start(self, subject: Subject, rng: np.random.Generator) -> Shape:
        room = np.subtract(subject.truth.shape, self.patch)
        lowest, highest = np.minimum(0, room // 2), np.maximum(room, room // 2)
        if len(subject.places) and rng.random() < AROUND_PLACES:
            place = subject.places[int(rng.integers(len(subject.places)))]
            middle = place + rng.uniform(-WOBBLE, WOBBLE, 3) * self.patch
            start = np.clip(np.rint(middle - np.array(self.patch) / 2).astype(int), lowest, highest)
        else:
            start = rng.integers(lowest, highest, endpoint=True)
        z, y, x = start.tolist()
        return z, y, x
