"""The committed demo checkpoint, exported and run like any other, on phantoms that it has not seen."""

from pathlib import Path

import numpy as np
import pytest

from common.grandchallenge.case import Case
from common.inference.options import Options
from common.metrics import compare
from common.model_folder import Model, read_model
from common.nnunet.safe_pickle import load
from common.phantom.phantom import make_phantom
from containers.l2snet import network
from containers.l2snet.algorithm import segment
from containers.l2snet.demo.plans import make_plans
from containers.l2snet.demo.train import SHAPES, STEPS_2D

CHECKPOINT = Path(network.__file__).parent / "demo" / "checkpoint"
UNSEEN = (1001, 1003)
"""Patients with at least one lesion above the size of which L2SNet's rules take any seriously."""
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("demo") / "model"
    network.export(CHECKPOINT, folder)
    return read_model(folder, "l2snet")


def dice(seed: int, model: Model) -> float:
    """On the middle of a patient without inflamed foci, which look like lesions and are none."""
    phantom = make_phantom(seed, SHAPES[1], lesions=8, inflammations=0)
    images = {"ct": phantom.ct, "pet": phantom.pet}
    mask = segment(Case(images, phantom.geometry, "phantom"), model, Options())
    return compare(phantom.truth != 0, mask != 0, phantom.geometry.voxel_volume_ml).dice


def test_demo_finds_the_lesions_of_patients_it_has_not_seen(model: Model) -> None:
    assert np.mean([dice(seed, model) for seed in UNSEEN]) >= 0.75


def test_checkpoint_is_small_and_as_the_training_writes_it() -> None:
    files = {path.relative_to(CHECKPOINT).as_posix(): path for path in CHECKPOINT.rglob("*.*")}
    localiser = f"fold_0/epoch_{STEPS_2D:03d}.pth"
    assert files.keys() == {"plans.pkl", localiser, f"fold_0/{network.CHECKPOINT_FILE}"}
    assert sum(path.stat().st_size for path in files.values()) <= MOST_BYTES
    plans = load(files["plans.pkl"])
    (stage,) = make_plans([np.zeros(1, np.float32)] * 2, (1, 1, 1))["plans_per_stage"].values()
    found = plans["plans_per_stage"][0]
    assert np.array_equal(found["patch_size"], stage["patch_size"])
    assert np.array_equal(found["current_spacing"], stage["current_spacing"])
