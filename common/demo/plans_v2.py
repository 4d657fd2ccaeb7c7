"""`plans.json` and `dataset.json` of the demo networks, as nnU-Net v2's `ResEncUNetPlanner` writes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIGURATION = "3d_fullres"


@dataclass(frozen=True)
class Design:
    """Configuration of a demo network."""

    spacing: tuple[float, float, float]
    """Voxel spacing in network space, (z, y, x), in mm."""
    patch: tuple[int, int, int]
    """Patch size in voxels, (z, y, x)."""
    batch: int
    features: tuple[int, ...]
    """Number of feature maps of each stage."""
    blocks: tuple[int, ...]
    """Number of residual blocks of each encoder stage."""
    schemes: tuple[str, ...]
    """Normalisation of each image channel, as the name of nnU-Net's class."""

    @property
    def segmentation_layer(self) -> str:
        """Name of the layer that computes the logits at full resolution."""
        return f"decoder.seg_layers.{len(self.features) - 2}"


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write a JSON document; its folder is created if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def make_dataset(channels: Sequence[str], labels: Sequence[str], subjects: int) -> dict[str, Any]:
    """Return the content of `dataset.json`; `labels` are the names of the labels from 1 on."""
    return {
        "channel_names": {str(index): name for index, name in enumerate(channels)},
        "labels": {"background": 0, **{name: label for label, name in enumerate(labels, start=1)}},
        "numTraining": subjects,
        "file_ending": ".mha",
    }


def make_plans(
    design: Design, foregrounds: Sequence[NDArray[np.float32]], median_shape: Sequence[int]
) -> dict[str, Any]:
    """Return the content of `plans.json`.

    `foregrounds` are the intensities (HU, SUV) of the foreground voxels, one array per channel;
    `median_shape` is the median image size in voxels, (z, y, x).
    """
    return {
        "dataset_name": "Dataset001_Phantom",
        "plans_name": "nnUNetResEncUNetPlans",
        "original_median_spacing_after_transp": list(design.spacing),
        "original_median_shape_after_transp": list(median_shape),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: _configuration(design, median_shape)},
        "experiment_planner_used": "ResEncUNetPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): _properties(voxels) for channel, voxels in enumerate(foregrounds)
        },
    }


def _configuration(design: Design, median_shape: Sequence[int]) -> dict[str, Any]:
    return {
        "data_identifier": f"nnUNetPlans_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": design.batch,
        "patch_size": list(design.patch),
        "median_image_size_in_voxels": list(median_shape),
        "spacing": list(design.spacing),
        "normalization_schemes": list(design.schemes),
        "use_mask_for_norm": [False] * len(design.schemes),
        **_resampling("data", is_seg=False, order=3),
        **_resampling("seg", is_seg=True, order=1),
        **_resampling("probabilities", is_seg=False, order=1),
        "architecture": _architecture(design),
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


def _architecture(design: Design) -> dict[str, Any]:
    stages = len(design.features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(design.features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_blocks_per_stage": list(design.blocks),
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
