"""`plans.json` and `dataset.json` of the demo network, as nnU-Net v2's `ResEncUNetPlanner` writes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.nnunet.resample import Shape

CONFIGURATION = "3d_fullres"
SPACING = (4.0, 4.0, 4.0)
PATCH = (48, 48, 64)
BATCH = 3
FEATURES = (8, 16, 32, 64, 64)
BLOCKS = (1, 2, 2, 2, 1)


def make_dataset(subjects: int) -> dict[str, Any]:
    """Return the content of `dataset.json`."""
    return {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": subjects,
        "file_ending": ".mha",
    }


def make_plans(
    foregrounds: Sequence[NDArray[np.float32]],
    median_shape: Sequence[int],
    *,
    patch: Shape = PATCH,
    spacing: tuple[float, float, float] = SPACING,
    features: Sequence[int] = FEATURES,
    blocks: Sequence[int] = BLOCKS,
) -> dict[str, Any]:
    """Return the content of `plans.json`.

    `foregrounds` are the intensities (HU, SUV) of the tumour voxels, one array per channel; `median_shape` is
    the median image size (z, y, x) in voxels of `spacing` (mm); `features` and `blocks` are the numbers of
    feature maps and residual blocks of the encoder stages.
    """
    return {
        "dataset_name": "Dataset001_Phantom",
        "plans_name": "nnUNetResEncUNetPlans",
        "original_median_spacing_after_transp": list(spacing),
        "original_median_shape_after_transp": list(median_shape),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            CONFIGURATION: _configuration(median_shape, patch, spacing, _architecture(features, blocks))
        },
        "experiment_planner_used": "ResEncUNetPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): _properties(voxels) for channel, voxels in enumerate(foregrounds)
        },
    }


def _configuration(
    median_shape: Sequence[int],
    patch: Shape,
    spacing: tuple[float, float, float],
    architecture: dict[str, Any],
) -> dict[str, Any]:
    return {
        "data_identifier": f"nnUNetPlans_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": BATCH,
        "patch_size": list(patch),
        "median_image_size_in_voxels": list(median_shape),
        "spacing": list(spacing),
        "normalization_schemes": ["CTNormalization", "CTNormalization"],
        "use_mask_for_norm": [False, False],
        **_resampling("data", is_seg=False, order=3),
        **_resampling("seg", is_seg=True, order=1),
        **_resampling("probabilities", is_seg=False, order=1),
        "architecture": architecture,
        "batch_dice": True,
    }


def _resampling(what: str, *, is_seg: bool, order: int) -> dict[str, Any]:
    return {
        f"resampling_fn_{what}": "resample_data_or_seg_to_shape",
        f"resampling_fn_{what}_kwargs": {
            "is_seg": is_seg,
            "order": order,
            "order_z": 0,
            "force_separate_z": None,
        },
    }


def _architecture(features: Sequence[int], blocks: Sequence[int]) -> dict[str, Any]:
    stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_blocks_per_stage": list(blocks),
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _properties(voxels: NDArray[np.float32]) -> dict[str, float]:
    low, high = np.percentile(voxels, (0.5, 99.5)).tolist()
    return {
        "max": float(voxels.max()),
        "mean": float(voxels.mean()),
        "median": float(np.median(voxels)),
        "min": float(voxels.min()),
        "percentile_00_5": low,
        "percentile_99_5": high,
        "std": float(voxels.std()),
    }
