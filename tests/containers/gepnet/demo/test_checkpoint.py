"""The committed demo checkpoint, exported and run like any other, on phantoms that it has not seen."""

import pytest

from common import algorithms
from common.demo.phantom.phantom import DEFAULT_SPACING
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE, read_weights
from common.export.checkpoints.v1.plans import PLANS_FILE, read_plans_v1
from common.model.model import Model
from common.model.reading import read_model
from containers.gepnet.algorithm import segment
from containers.gepnet.demo.train import PATCH, PHASES, is_frozen
from containers.gepnet.export import export
from tests.support.demo_cases import UNSEEN, mean_dice

CHECKPOINT = algorithms.FOLDER / "gepnet" / "demo" / "checkpoint"
MAX_BYTES = 10_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("demo") / "model"
    export(CHECKPOINT, folder)
    return read_model(folder, "gepnet")


def test_demo_finds_the_lesions_of_patients_it_has_not_seen(model: Model) -> None:
    for phase in PHASES:
        assert not set(UNSEEN) & set(range(phase.first_seed, phase.first_seed + phase.subjects))
    assert mean_dice(segment, model, "pet") >= 0.75


def test_checkpoint_is_small_and_as_the_training_writes_it() -> None:
    files = {path.relative_to(CHECKPOINT).as_posix(): path for path in CHECKPOINT.rglob("*.*")}
    checkpoint = f"fold_0/{CHECKPOINT_FILE}"
    assert files.keys() == {"plans.pkl", checkpoint, f"{checkpoint}.pkl"}
    assert sum(path.stat().st_size for path in files.values()) <= MAX_BYTES
    plans = read_plans_v1(CHECKPOINT / PLANS_FILE)
    assert (plans.patch, plans.spacing) == (PATCH, DEFAULT_SPACING)
    assert not any(
        tensor.any() for name, tensor in read_weights(files[checkpoint]).items() if is_frozen(name)
    )
