"""Metrics of the autoPET challenge: Dice, false-positive and false-negative volume, volume difference.

Source: nnunetv2/evaluation/evaluate_predictions_autopet.py of autoPET-interactive, which follows the
evaluation of the challenge. Dice and relative volume difference come from grand-challenge-metrics.
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
    """Metrics of one predicted mask; volumes in ml."""

    dice: float
    """Dice similarity coefficient; NaN if the ground truth is empty."""
    false_positive: float
    """Volume of the predicted components that overlap no lesion."""
    false_negative: float
    """Volume of the lesions that the prediction does not overlap."""
    truth: float
    """Volume of the ground truth."""
    volume_difference: float
    """Predicted volume minus volume of the ground truth."""
    relative_volume_difference: float
    """Absolute volume difference relative to the ground truth; NaN if that is empty."""


def compare(truth: Mask, prediction: Mask, voxel_volume: float) -> Metrics:
    """Compare two masks (z, y, x) on one grid whose voxels have a volume of `voxel_volume` ml."""
    confusion = stats.calculate_confusion_matrix(truth, prediction, labels=[0, 1])
    true, predicted = int(confusion[1].sum()), int(confusion[:, 1].sum())
    return Metrics(
        dice=float(stats.dice_from_confusion_matrix(confusion)[1]) if true else nan,
        false_positive=voxel_volume * _missed_voxels(prediction, truth),
        false_negative=voxel_volume * _missed_voxels(truth, prediction),
        truth=voxel_volume * true,
        volume_difference=voxel_volume * (predicted - true),
        relative_volume_difference=(
            float(stats.relative_absolute_volume_difference(truth, prediction)) if true else nan
        ),
    )


def _missed_voxels(mask: Mask, other: Mask) -> int:
    """Count the voxels in 18-connected components of `mask` that do not overlap `other`."""
    components = Components.of(mask)
    missed = components.count(other.ravel()[components.voxels]) == 0
    return int(components.sizes[missed].sum())
