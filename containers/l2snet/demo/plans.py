"""nnU-Net v1's plans for the demo's 3D network."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.nnunet.resample import Shape
from containers.l2snet.network import IMAGE_CHANNELS

SPACING = (3.0, 3.0, 3.0)
PATCH = (64, 64, 64)
BASE_FEATURES = 8
POOLINGS = 3


def make_plans(foregrounds: Sequence[NDArray[np.float32]], median_shape: Shape) -> dict[str, Any]:
    """Give the content of `plans.pkl`, in the format of nnU-Net v1's planner.

    `foregrounds` are the intensities (SUV, HU) of each modality's tumour voxels; `median_shape` (z, y, x) is
    the subjects' size in voxels at the plans' spacing.
    """
    modalities = dict(enumerate(IMAGE_CHANNELS))
    intensities = {index: _properties(voxels) for index, voxels in enumerate(foregrounds)}
    return {
        "num_stages": 1,
        "num_modalities": len(modalities),
        "modalities": modalities,
        "normalization_schemes": OrderedDict((index, "CT") for index in modalities),
        "use_mask_for_norm": OrderedDict((index, False) for index in modalities),
        "dataset_properties": {
            "all_classes": [1],
            "modalities": modalities,
            "intensityproperties": intensities,
        },
        "num_classes": 1,
        "all_classes": [1],
        "base_num_features": BASE_FEATURES,
        "conv_per_stage": 2,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "data_identifier": "nnUNetData_plans_v2.1",
        "preprocessor_name": "GenericPreprocessor",
        "plans_per_stage": {0: _stage(median_shape)},
    }


def _stage(median_shape: Shape) -> dict[str, Any]:
    return {
        "batch_size": 2,
        "num_pool_per_axis": [POOLINGS] * 3,
        "patch_size": np.array(PATCH),
        "median_patient_size_in_voxels": np.array(median_shape),
        "current_spacing": np.array(SPACING),
        "original_spacing": np.array(SPACING),
        "do_dummy_2D_data_aug": False,
        "pool_op_kernel_sizes": [[2, 2, 2]] * POOLINGS,
        "conv_kernel_sizes": [[3, 3, 3]] * (POOLINGS + 1),
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
