"""Which lesions a mask found, missed and made up; source: the evaluation of the autoPET challenge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.metrics import Metrics, compare
from common.geometry import Geometry
from common.report.lesions import Lesion, lesions_of


@dataclass(frozen=True)
class Comparison:
    """A mask beside its truth."""

    metrics: Metrics
    true: tuple[Lesion, ...]
    """The truth's lesions, the largest first."""
    found: frozenset[int]
    """Numbers of the truth's lesions that the mask has at least one voxel of."""
    false: frozenset[int]
    """Numbers of the mask's lesions that have no voxel of the truth's."""

    @property
    def missed(self) -> tuple[Lesion, ...]:
        """The truth's lesions that the mask has nothing of."""
        return tuple(lesion for lesion in self.true if lesion.number not in self.found)


def compare_lesions(
    lesions: Sequence[Lesion],
    numbers: NDArray[np.int32],
    truth: NDArray[np.bool_],
    pet: NDArray[np.float32],
    geometry: Geometry,
) -> Comparison:
    """Compare a mask's lesions, and the map of their numbers (z, y, x), with the truth on the same grid."""
    true, true_numbers = lesions_of(truth, pet, geometry)
    touched = set(np.unique(numbers[truth]).tolist())
    return Comparison(
        metrics=compare(truth, numbers > 0, geometry.voxel_volume_ml),
        true=tuple(true),
        found=frozenset(np.unique(true_numbers[numbers > 0]).tolist()) - {0},
        false=frozenset(lesion.number for lesion in lesions) - touched,
    )
