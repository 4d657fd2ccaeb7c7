"""The committed demo checkpoint, exported and run like any other, on phantoms that it has not seen."""

import pytest

from common import algorithms
from common.demo.phantom.phantom import DEFAULT_SPACING
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import PLANS_FILE, read_network_plan, read_plans_v1
from common.model.model import Model
from common.model.reading import read_model
from containers.l2snet.algorithm import segment
from containers.l2snet.demo.train import (
    BASE_FEATURES,
    FIRST_SEED,
    PATCH,
    POOLINGS,
    STEPS_2D,
    SUBJECTS,
)
from containers.l2snet.export import export
from tests.support.demo_cases import UNSEEN, mean_dice

CHECKPOINT = algorithms.FOLDER / "l2snet" / "demo" / "checkpoint"
MAX_BYTES = 12_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("demo") / "model"
    export(CHECKPOINT, folder)
    return read_model(folder, "l2snet")


def test_demo_finds_the_lesions_of_patients_it_has_not_seen(model: Model) -> None:
    assert not set(UNSEEN) & set(range(FIRST_SEED, FIRST_SEED + SUBJECTS))
    assert mean_dice(segment, model, "ct", "pet") >= 0.75


def test_checkpoint_is_small_and_as_the_training_writes_it() -> None:
    files = {path.relative_to(CHECKPOINT).as_posix(): path for path in CHECKPOINT.rglob("*.*")}
    localiser, checkpoint = f"fold_0/epoch_{STEPS_2D:03d}.pth", f"fold_0/{CHECKPOINT_FILE}"
    assert files.keys() == {"plans.pkl", localiser, checkpoint, f"{checkpoint}.pkl"}
    assert sum(path.stat().st_size for path in files.values()) <= MAX_BYTES
    plans, network_plan = read_plans_v1(CHECKPOINT / PLANS_FILE), read_network_plan(CHECKPOINT / PLANS_FILE)
    assert (plans.patch, plans.spacing) == (PATCH, DEFAULT_SPACING)
    assert (network_plan.base_features, len(network_plan.strides)) == (BASE_FEATURES, POOLINGS)
