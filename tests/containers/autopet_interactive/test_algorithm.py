"""The original's output, step by step and through the whole algorithm."""

import json

import numpy as np
import pytest

from common.case import Case, Click
from common.geometry import Geometry
from common.inference.engines.pool import EnginePool
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.volume import ArrayChannel, Volume
from common.model.reading import read_model
from common.nnunet.images import take_images
from common.nnunet.preprocess import preprocess
from containers.autopet_interactive.algorithm import segment
from containers.autopet_interactive.prompts import ClickSettings, click_channels
from tests.golden import synth
from tests.support.golden_data import GOLDEN

FOLDER = GOLDEN / "autopet_interactive"
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def model(golden_model):
    return read_model(golden_model, "autopet_interactive")


@pytest.fixture
def case():
    numbers = json.loads((FOLDER / "case.json").read_text())
    shape, spacing = tuple(numbers["shape_zyx"]), tuple(numbers["spacing_zyx"])
    noise = synth.image(numbers["seed"], (2, *shape))
    clicks = json.loads((FOLDER / "lesion-clicks.json").read_text())["points"]
    return Case(
        images={"ct": (noise[0] * 400 - 100).astype(np.float32), "pet": np.exp(noise[1])},
        geometry=Geometry(shape[::-1], spacing[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
        stem="golden",
        clicks=tuple(Click(tuple(click["point"]), click["name"]) for click in clicks),
    )


@pytest.fixture
def prepared(case, model):
    plans = model.network("segmentation").nnunet_plans
    images, space = preprocess(take_images(case, plans), case.geometry.spacing_zyx, plans)
    clicks = click_channels(case.clicks, space, model.settings_as(ClickSettings))
    return Volume(space.shape, [*map(ArrayChannel, images), *clicks]), space


def test_input_channels_equal_the_originals(prepared, expected):
    volume, _ = prepared
    np.testing.assert_allclose(
        volume.tile((0, 0, 0), volume.shape), expected["preprocessed"], atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("engine", ["cpu", "openvino"])
def test_logits_and_mask_equal_the_originals(prepared, model, expected, engine):
    volume, space = prepared
    logits = predict(volume, model.network("segmentation"), Options(EnginePool(engine)))
    difference = expected["logits"][1] - expected["logits"][0]
    np.testing.assert_allclose(logits, difference, atol=TOLERANCE, rtol=0)
    certain = abs(space.to_crop(difference)) >= TOLERANCE
    assert space.cropped_shape == space.image_shape
    mask = space.mask(logits, threshold=0)
    np.testing.assert_array_equal(mask[certain], expected["segmentation"][certain])
    assert certain.mean() > 0.99


def test_algorithm_gives_the_originals_mask(case, model, expected):
    mask = segment(case, model, Options())
    assert mask.dtype == np.uint8
    assert (mask != expected["segmentation"]).mean() < 1e-4


def test_images_are_used_up_so_that_none_is_held_twice(case, model):
    segment(case, model, Options())
    assert not case.images
