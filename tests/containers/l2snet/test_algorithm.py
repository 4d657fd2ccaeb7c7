"""The way of a case, on the golden 3D network and a 2D network that marks high uptake."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from common.case import Case
from common.errors import MachineError
from common.geometry import Geometry
from common.inference.engines.ladder import make_engine
from common.inference.options import Options
from common.model.model import Model
from common.model.reading import read_model
from containers.l2snet.algorithm import segment
from containers.l2snet.fusion import fuse
from containers.l2snet.localisation import localise
from tests.golden import synth
from tests.support import golden_data

CASE = golden_data.document("nnunet_v1/case.json")
SHAPE, SPACING = tuple(CASE["shape_zyx"]), tuple(CASE["spacing_zyx"])
INSIDE = (slice(2, None), slice(3, None), slice(None, -4))
"""What the golden case's frame of zeros leaves."""


@pytest.fixture
def case() -> Case:
    first, second = synth.image(CASE["seed"], (2, *SHAPE))
    ct, pet = first * 400 - 100, np.exp(second)
    for image in (ct, pet):
        image[:2] = image[:, :3] = image[:, :, -4:] = 0
    geometry = Geometry(SHAPE[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Case({"pet": pet, "ct": ct}, geometry, "golden")


@pytest.fixture(scope="module")
def model(light_model: Path) -> Model:
    return read_model(light_model, "l2snet")


def resized(volume: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.ascontiguousarray(volume, np.float32))[None, None]
    return interpolate(tensor, shape, mode="trilinear")[0, 0].numpy()


def test_both_phases_are_joined_in_network_space(case: Case, model: Model) -> None:
    segmentation = golden_data.expected("nnunet_v1")["foreground_probability"]
    (fold,) = model.network("localisation").folds
    assert fold.path
    localisation = localise(case.images["pet"], make_engine(fold.path))[INSIDE]
    fused = fuse(segmentation, resized(localisation, segmentation.shape))
    expected = np.zeros(SHAPE, np.uint8)
    expected[INSIDE] = resized(fused, localisation.shape) > 0.5
    mask = segment(case, model, Options())
    assert mask.dtype == np.uint8
    assert expected.any()
    np.testing.assert_array_equal(mask, expected)
    assert not case.images, "they are used up, so that none is held twice"


def test_only_the_largest_component_stays_where_the_model_says_so(case: Case, model: Model) -> None:
    images = {name: image.copy() for name, image in case.images.items()}
    everything = segment(case, model, Options())
    largest = replace(model, settings={"keep_largest": {"unless_mm3": None}})
    kept = segment(replace(case, images=images), largest, Options())
    assert 0 < kept.sum() < everything.sum()
    assert not (kept & ~everything).any()


def test_a_deadline_that_localisation_cannot_keep_is_said_before_it_starts(case: Case, model: Model) -> None:
    with pytest.raises(MachineError, match="the time limit ended"):
        segment(case, model, Options(deadline=time.monotonic()))


def test_too_little_memory_for_localisation_is_said_before_it_starts(case: Case, model: Model) -> None:
    heavy = tuple(
        replace(network, tile_memory=2**50 if network.name == "localisation" else 0)
        for network in model.networks
    )
    with pytest.raises(MachineError, match="localisation needs about"):
        segment(case, replace(model, networks=heavy), Options())
