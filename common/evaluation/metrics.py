"""How well a mask fits the truth, by autoPET's measures.

Source: nnunetv2/evaluation/evaluate_predictions_autopet.py of autoPET-interactive, after the challenge's own
evaluation. What grand-challenge-metrics has is taken from there.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from common.components import Components
from common.errors import MachineError

try:
    from grand_challenge_metrics import stats
except ModuleNotFoundError as error:
    raise MachineError(f"the package {error.name} is missing; install petct's extra 'evaluate'") from error

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Metrics:
    """Measures of one mask; volumes in ml."""

    dice: float
    """NaN where the truth is empty."""
    false_positive: float
    """Volume of the mask's components that touch no lesion."""
    false_negative: float
    """Volume of the lesions that the mask does not touch."""
    truth: float
    """Volume of the truth."""
    volume_difference: float
    """How much more the mask holds than the truth; negative where it is less."""
    relative_volume_difference: float
    """Its magnitude as a fraction of the truth's volume; NaN where the truth is empty."""


def compare(truth: Mask, prediction: Mask, voxel_volume: float) -> Metrics:
    """Measure a mask against the truth, both (z, y, x) on one grid of voxels of `voxel_volume` ml."""
    confusion = stats.calculate_confusion_matrix(truth, prediction, labels=[0, 1])
    true, predicted = int(confusion[1].sum()), int(confusion[:, 1].sum())
    return Metrics(
        dice=float(stats.dice_from_confusion_matrix(confusion)[1]) if true else nan,
        false_positive=voxel_volume * _voxels_apart(prediction, truth),
        false_negative=voxel_volume * _voxels_apart(truth, prediction),
        truth=voxel_volume * true,
        volume_difference=voxel_volume * (predicted - true),
        relative_volume_difference=(
            float(stats.relative_absolute_volume_difference(truth, prediction)) if true else nan
        ),
    )


def _voxels_apart(mask: Mask, other: Mask) -> int:
    """Voxels of the 18-connected components of `mask` that share none with `other`."""
    components = Components.of(mask)
    apart = components.count(other.ravel()[components.voxels]) == 0
    return int(components.sizes[apart].sum())
