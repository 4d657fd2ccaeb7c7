"""Preprocessing and the way back agree with nnU-Net v2's own, over random plans and images."""

import copy
import json

import numpy as np
import pytest
import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape as nnunet_mask,
)
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from common.export.checkpoints.v2.plans import read_plans
from common.nnunet.preprocess import preprocess
from tests.support.golden_cases import autopet_dataset, autopet_plans

SCHEMES = ["CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization"]
TRANSPOSES = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]]
CLOSE = 1e-3
"""A logit difference this near to zero may be decided by rounding."""


def random_plans(rng):
    plans = copy.deepcopy(autopet_plans())
    plans["transpose_forward"] = TRANSPOSES[rng.integers(len(TRANSPOSES))]
    plans["transpose_backward"] = [int(axis) for axis in np.argsort(plans["transpose_forward"])]
    configuration = plans["configurations"]["3d_fullres"]
    configuration["spacing"] = [float(s) for s in rng.uniform(1, 3, 3)]
    configuration["normalization_schemes"] = [str(scheme) for scheme in rng.choice(SCHEMES, 2)]
    configuration["use_mask_for_norm"] = [bool(mask) for mask in rng.integers(2, size=2)]
    if rng.random() < 0.3:
        for what in ("data", "probabilities"):
            configuration[f"resampling_fn_{what}"] = "resample_torch_fornnunet"
            configuration[f"resampling_fn_{what}_kwargs"] = {"is_seg": False, "force_separate_z": False}
    else:
        configuration["resampling_fn_data_kwargs"]["order_z"] = int(rng.choice([0, 1]))
    return plans


def random_images(rng):
    shape = rng.integers(6, 30, 3)
    images = rng.normal(100, 300, (2, *shape)).astype(np.float32)
    for axis in range(1, 4):
        frame = rng.integers(0, 3, 2)
        index = [slice(None)] * 4
        for part in (slice(0, frame[0]), slice(shape[axis - 1] - frame[1], None)):
            index[axis] = part
            images[tuple(index)] = 0
    images[:, shape[0] // 2, shape[1] // 2, shape[2] // 2] = 0
    return images


@pytest.mark.parametrize("seed", range(40))
def test_images_and_mask_equal_nnunets(seed, tmp_path):
    rng = np.random.default_rng(seed)
    plans, images = random_plans(rng), random_images(rng)
    a, b, c = (float(s) for s in rng.choice([1.0, 1.7, 2.0, 3.0, 7.5], 3))
    (tmp_path / "plans.json").write_text(json.dumps(plans))
    (tmp_path / "dataset.json").write_text(json.dumps(autopet_dataset()))

    manager = PlansManager(copy.deepcopy(plans))
    configuration = manager.get_configuration("3d_fullres")
    properties = {"spacing": [a, b, c]}
    theirs, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        images, None, properties, manager, configuration, autopet_dataset()
    )
    ours, space = preprocess(list(images.copy()), (a, b, c), read_plans(tmp_path, "3d_fullres"))
    np.testing.assert_allclose(np.stack(ours), theirs, atol=2e-3 * max(1, np.abs(theirs).max() / 100))

    logits = rng.standard_normal((2, *space.shape)).astype(np.float32)
    their_mask = nnunet_mask(
        torch.from_numpy(logits),
        manager,
        configuration,
        manager.get_label_manager(autopet_dataset()),
        properties,
        num_threads_torch=1,
    )
    difference = logits[1] - logits[0]
    certain = space.to_image((abs(space.to_crop(difference)) >= CLOSE).astype(np.uint8)) > 0
    our_mask = space.mask(difference, threshold=0)
    np.testing.assert_array_equal(our_mask[certain], their_mask[certain])
    assert certain.sum() > 0.9 * np.prod(space.cropped_shape)
