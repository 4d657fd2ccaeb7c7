"""`plans.pkl` of the demo networks, in the format of nnU-Net v1's experiment planner."""

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.export.checkpoints.v1.plans import PLANS_FILE
from common.nnunet.resample import Shape


def write_plans(plans: dict[str, Any], folder: Path) -> None:
    """Write `plans.pkl` into `folder`, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLANS_FILE).write_bytes(pickle.dumps(plans))


def make_plans(
    modalities: Sequence[str],
    foregrounds: Sequence[NDArray[np.float32]],
    *,
    patch: Shape,
    spacing: tuple[float, float, float],
    median_shape: Shape,
    base_features: int,
    poolings: int,
    batch: int,
    scheme: Literal["CT", "nonCT"],
) -> dict[str, Any]:
    """Return the content of `plans.pkl` for one stage and two classes.

    Parameters
    ----------
    modalities
        Names, in channel order.
    foregrounds
        Intensities (SUV, HU) of the tumour voxels, one array per modality.
    patch, median_shape
        Patch size and median image size in voxels, (z, y, x).
    spacing
        Target voxel spacing (z, y, x) in mm.
    base_features, poolings
        Feature maps of the first stage; number of poolings along every axis.
    batch
        Patches per batch.
    scheme
        Normalisation of every modality.

    """
    named = dict(enumerate(modalities))
    return {
        "num_stages": 1,
        "num_modalities": len(named),
        "modalities": named,
        "normalization_schemes": OrderedDict((index, scheme) for index in named),
        "use_mask_for_norm": OrderedDict((index, False) for index in named),
        "dataset_properties": {
            "all_classes": [1],
            "modalities": named,
            "intensityproperties": {index: _properties(voxels) for index, voxels in enumerate(foregrounds)},
        },
        "num_classes": 1,
        "all_classes": [1],
        "base_num_features": base_features,
        "conv_per_stage": 2,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "data_identifier": "nnUNetData_plans_v2.1",
        "preprocessor_name": "GenericPreprocessor",
        "plans_per_stage": {
            0: {
                "batch_size": batch,
                "num_pool_per_axis": [poolings] * 3,
                "patch_size": np.array(patch),
                "median_patient_size_in_voxels": np.array(median_shape),
                "current_spacing": np.array(spacing),
                "original_spacing": np.array(spacing),
                "do_dummy_2D_data_aug": False,
                "pool_op_kernel_sizes": [[2, 2, 2]] * poolings,
                "conv_kernel_sizes": [[3, 3, 3]] * (poolings + 1),
            }
        },
    }


def _properties(voxels: NDArray[np.float32]) -> dict[str, float]:
    low, high = np.percentile(voxels, (0.5, 99.5)).tolist()
    return {
        "mean": float(voxels.mean()),
        "sd": float(voxels.std()),
        "mn": float(voxels.min()),
        "mx": float(voxels.max()),
        "percentile_00_5": low,
        "percentile_99_5": high,
        "median": float(np.median(voxels)),
    }
