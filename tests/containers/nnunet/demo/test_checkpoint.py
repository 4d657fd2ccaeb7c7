"""The demo checkpoint, from its folder to labels."""

import json

import numpy as np
import pytest

from common import algorithms
from common.case import Case
from common.demo.plans_v2 import make_dataset, make_plans
from common.inference.options import Options
from common.model.model import Model
from common.model.reading import read_model
from containers.nnunet.algorithm import segment
from containers.nnunet.demo.subjects import LESION, UPTAKE, labelled_phantoms
from containers.nnunet.demo.train import CHANNELS, DESIGN, FIRST_SEED, LABELS, SUBJECTS
from containers.nnunet.export import export

CHECKPOINT = algorithms.FOLDER / "nnunet" / "demo" / "checkpoint"
UNSEEN = 1000
MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    export(CHECKPOINT, folder)
    return read_model(folder, "nnunet")


def test_demo_tells_lesions_from_uptake_in_patients_it_has_not_seen(model: Model) -> None:
    assert not FIRST_SEED <= UNSEEN < FIRST_SEED + SUBJECTS
    dice: dict[int, list[float]] = {LESION: [], UPTAKE: []}
    for labelled in labelled_phantoms(UNSEEN, 3):
        phantom = labelled.phantom
        case = Case({"ct": phantom.ct, "pet": phantom.pet}, phantom.geometry, "phantom")
        found = segment(case, model, Options())
        for label, values in dice.items():
            ours, theirs = found == label, labelled.labels == label
            values.append(2 * np.sum(ours & theirs) / (np.sum(ours) + np.sum(theirs)))
    assert np.mean(dice[LESION]) >= 0.7
    assert np.mean(dice[UPTAKE]) >= 0.9


def test_checkpoint_is_small_and_as_the_training_writes_it() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.rglob("*") if path.is_file()) <= MAX_BYTES
    plans = json.loads((CHECKPOINT / "plans.json").read_text())
    foregrounds = [np.zeros(1, np.float32)] * len(CHANNELS)
    expected = make_plans(DESIGN, foregrounds, plans["original_median_shape_after_transp"])
    assert plans["configurations"] == expected["configurations"]
    dataset = json.loads((CHECKPOINT / "dataset.json").read_text())
    assert dataset == make_dataset(CHANNELS, LABELS, SUBJECTS)
