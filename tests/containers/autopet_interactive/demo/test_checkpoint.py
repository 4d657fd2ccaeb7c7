"""The committed demo checkpoint, exported and run like any other, on phantoms that it has not seen."""

import json

import numpy as np
import pytest

from common import algorithms
from common.case import Case, Click
from common.demo.phantom.phantom import Phantom, make_phantom
from common.demo.plans_v2 import make_dataset, make_plans
from common.evaluation.metrics import Metrics, compare
from common.export.checkpoints.folds import find_folds
from common.export.checkpoints.v2.checkpoint import CHECKPOINT_FILE, read_checkpoint
from common.inference.options import Options
from common.model.model import Model
from common.model.reading import read_model
from containers.autopet_interactive.algorithm import segment
from containers.autopet_interactive.demo.train import (
    DESIGN,
    FIRST_SEED,
    LABELS,
    MIRROR_AXES,
    SUBJECTS,
    TRAINER,
)
from containers.autopet_interactive.export import export

CHECKPOINT = algorithms.FOLDER / "autopet_interactive" / "demo" / "checkpoint"
UNSEEN = (1000, 1001, 1002)
INFLAMED = 1006
"""A patient whose inflamed foci the network takes for lesions when no click tells it."""
MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("demo") / "model"
    export(CHECKPOINT, folder)
    return read_model(folder, "autopet_interactive")


def measure(phantom: Phantom, clicks: tuple[Click, ...], model: Model) -> Metrics:
    images = {"ct": phantom.ct.copy(), "pet": phantom.pet.copy()}
    mask = segment(Case(images, phantom.geometry, "phantom", clicks), model, Options())
    return compare(phantom.truth != 0, mask != 0, phantom.geometry.voxel_volume_ml)


def test_demo_finds_the_lesions_of_patients_it_has_not_seen(model: Model) -> None:
    phantoms = [make_phantom(seed) for seed in UNSEEN]
    assert not set(UNSEEN) & set(range(FIRST_SEED, FIRST_SEED + SUBJECTS))
    assert np.mean([measure(phantom, (), model).dice for phantom in phantoms]) >= 0.8


def test_clicks_put_right_a_case_that_the_demo_gets_wrong(model: Model) -> None:
    phantom = make_phantom(INFLAMED)
    without, with_clicks = (measure(phantom, clicks, model) for clicks in ((), phantom.clicks))
    assert without.false_positive > 0
    assert with_clicks.false_positive < 0.2 * without.false_positive
    assert with_clicks.dice > without.dice + 0.1


def test_checkpoint_is_small_and_as_the_training_writes_it() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.rglob("*") if path.is_file()) <= MAX_BYTES
    plans = json.loads((CHECKPOINT / "plans.json").read_text())
    foregrounds = [np.zeros(1, np.float32)] * 2
    expected = make_plans(DESIGN, foregrounds, plans["original_median_shape_after_transp"])
    assert plans["configurations"] == expected["configurations"]
    assert json.loads((CHECKPOINT / "dataset.json").read_text()) == make_dataset(
        ("CT", "PET"), LABELS, SUBJECTS
    )
    (path,) = find_folds(CHECKPOINT, CHECKPOINT_FILE).values()
    checkpoint = read_checkpoint(path)
    assert checkpoint.trainer == TRAINER
    assert checkpoint.mirror_axes == MIRROR_AXES
