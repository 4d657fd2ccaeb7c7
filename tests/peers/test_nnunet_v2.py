"""The whole algorithm gives the mask that nnU-Net v2 itself gives."""

import copy
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.grandchallenge.case import Case
from common.inference.options import Options
from common.model_folder import read_model
from common.phantom.phantom import make_phantom
from containers.autopet_interactive import network
from containers.autopet_interactive.algorithm import segment
from tests.golden_cases import autopet_dataset, autopet_plans, write_trained_folder
from tests.peers import nnunet_v2

CLICKLESS = ("tumor clicks", "background clicks")
FOLDS = 2


def with_empty_channels(plans, dataset):
    """Plans and dataset for nnU-Net, which is given the algorithm's empty click channels as images."""
    plans, dataset = copy.deepcopy((plans, dataset))
    configuration = plans["configurations"]["3d_fullres"]
    configuration["normalization_schemes"] += ["NoNormalization"] * 2
    configuration["use_mask_for_norm"] += [False] * 2
    statistics = plans["foreground_intensity_properties_per_channel"]
    statistics |= {"2": statistics["0"], "3": statistics["0"]}
    dataset["channel_names"] |= {"2": CLICKLESS[0], "3": CLICKLESS[1]}
    return plans, dataset


def random_network(architecture, seed):
    torch.manual_seed(seed)
    arguments = architecture["arch_kwargs"] | {
        "conv_op": torch.nn.Conv3d,
        "norm_op": torch.nn.InstanceNorm3d,
        "nonlin": torch.nn.LeakyReLU,
    }
    return ResidualEncoderUNet(input_channels=4, num_classes=2, deep_supervision=False, **arguments)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two folders with the same weights: the algorithm's, and one with its click channels for nnU-Net."""
    plans, dataset = autopet_plans(), autopet_dataset()
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    folds = {
        str(seed): {
            "network_weights": random_network(architecture, seed).state_dict(),
            "init_args": {"configuration": "3d_fullres"},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
        }
        for seed in range(FOLDS)
    }
    folder = tmp_path_factory.mktemp("checkpoints")
    return [
        write_trained_folder(folder / "ours", plans, dataset, folds),
        write_trained_folder(folder / "theirs", *with_empty_channels(plans, dataset), folds),
    ]


@pytest.fixture(scope="module")
def models(checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        folds: export(checkpoints[0], folder / str(folds), [str(fold) for fold in range(folds)])
        for folds in (1, FOLDS)
    }


def export(checkpoint: Path, destination: Path, folds: list[str]):
    network.export(checkpoint, destination, folds)
    return read_model(destination, "autopet_interactive")


@pytest.mark.parametrize(
    ("shape", "spacing", "folds"),
    [
        pytest.param((40, 60, 60), (3.0, 2.0364201068878174, 2.0364201068878174), 1, id="same spacing"),
        pytest.param((24, 50, 40), (4.0, 2.5, 3.1), 2, id="resampled, two folds"),
        pytest.param((9, 40, 45), (9.0, 2.5, 2.5), 1, id="coarse slices"),
        pytest.param((20, 30, 30), (3.0, 2.0, 2.0), 1, id="smaller than a tile"),
    ],
)
def test_mask_equals_nnunets(checkpoints, models, shape, spacing, folds, caplog):
    phantom = make_phantom(3, shape, spacing)
    images = np.stack([phantom.ct, phantom.pet])
    with_clicks = np.pad(images, ((0, 2), (0, 0), (0, 0), (0, 0)))
    with nnunet_v2.float32_sums():
        theirs = nnunet_v2.segment(nnunet_v2.load(checkpoints[1], range(folds)), with_clicks, spacing)
    case = Case({"ct": phantom.ct, "pet": phantom.pet}, phantom.geometry, "phantom")
    with caplog.at_level(logging.ERROR):
        ours = segment(case, models[folds], Options())
    assert 0.01 < theirs.mean() < 0.99
    assert 2 * np.sum(theirs & ours) / (theirs.sum() + ours.sum(dtype=int)) >= 0.999
