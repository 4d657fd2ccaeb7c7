"""The whole algorithm gives the mask that nnU-Net v2 itself gives."""

import logging

import numpy as np
import pytest

from benchmarks.originals import nnunet_v2
from benchmarks.originals.checkpoints import write_pair
from common.case import Case
from common.demo.phantom.phantom import make_phantom
from common.inference.options import Options
from common.model.reading import read_model
from containers.autopet_interactive.algorithm import segment
from containers.autopet_interactive.export import export
from tests.support.golden_cases import autopet_dataset, autopet_plans

FOLDS = 2


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return write_pair(folder, autopet_plans(), autopet_dataset(), folds=FOLDS, mirror_axes=(0, 1, 2))


@pytest.fixture(scope="module")
def models(checkpoints, tmp_path_factory):
    """The exported model with one fold, and with two."""
    folder = tmp_path_factory.mktemp("models")
    for folds in (1, FOLDS):
        export(checkpoints[0], folder / str(folds), [str(fold) for fold in range(folds)])
    return {folds: read_model(folder / str(folds), "autopet_interactive") for folds in (1, FOLDS)}


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
    no_clicks = np.zeros((2, *shape), np.float32)
    images = np.stack([phantom.ct, phantom.pet, *no_clicks])
    with nnunet_v2.float32_sums():
        theirs = nnunet_v2.segment(nnunet_v2.load(checkpoints[1], range(folds)), images, spacing)
    case = Case({"ct": phantom.ct, "pet": phantom.pet}, phantom.geometry, "phantom")
    with caplog.at_level(logging.ERROR):
        ours = segment(case, models[folds], Options())
    assert 0.01 < theirs.mean() < 0.99
    assert 2 * np.sum(theirs & ours) / (theirs.sum(dtype=int) + ours.sum(dtype=int)) >= 0.999
