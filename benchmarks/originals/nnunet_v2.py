"""nnU-Net v2 itself, predicting a case in this process on the CPU."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

os.environ.setdefault("nnUNet_raw", "/nonexistent")
os.environ.setdefault("nnUNet_preprocessed", "/nonexistent")
os.environ.setdefault("nnUNet_results", "/nonexistent")

from nnunetv2.inference import predict_from_raw_data
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def load(checkpoint: Path, folds: Sequence[int]) -> predict_from_raw_data.nnUNetPredictor:
    """A predictor for those folds of a trained folder.

    Initialised by hand: nnU-Net's own search for the trainer's class imports all that training needs.
    """
    plans, dataset = (json.loads((checkpoint / name).read_text()) for name in ("plans.json", "dataset.json"))
    saved = [
        torch.load(checkpoint / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False) for fold in folds
    ]
    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    predictor = predict_from_raw_data.nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.manual_initialization(
        get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            len(dataset["channel_names"]),
            len(dataset["labels"]),
            deep_supervision=False,
        ),
        manager,
        configuration,
        [checkpoint["network_weights"] for checkpoint in saved],
        dataset,
        saved[0]["trainer_name"],
        saved[0]["inference_allowed_mirroring_axes"],
    )
    return predictor


def segment(
    predictor: predict_from_raw_data.nnUNetPredictor,
    images: NDArray[np.float32],
    spacing: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """The mask (z, y, x) of images (C, z, y, x) of that spacing (z, y, x, in mm)."""
    mask = predictor.predict_single_npy_array(images, {"spacing": list(spacing)})
    return np.asarray(mask, np.uint8)


class FirstTwoChannels(torch.nn.Module):
    """A network whose logits are its first two input channels."""

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        return tiles[:, :2].clone()


def use_first_two_channels(predictor: predict_from_raw_data.nnUNetPredictor) -> None:
    """Leave of a prediction everything but the network."""
    predictor.network = FirstTwoChannels()
    predictor.list_of_parameters = [{}]


@contextmanager
def float32_sums() -> Iterator[None]:
    """Let nnU-Net sum its tiles in float32: in float16 its own rounding decides near the image's border."""
    gaussian = partial(compute_gaussian, dtype=torch.float32)
    with (
        patch.object(predict_from_raw_data.torch, "half", torch.float32),
        patch.object(predict_from_raw_data, "compute_gaussian", gaussian),
    ):
        yield
