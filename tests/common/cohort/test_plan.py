from pathlib import Path

import pytest

from common.cohort.manifest import Entry
from common.cohort.outcome import Outcome, write_outcome
from common.cohort.plan import (
    BASE_MEMORY,
    CUT_SHORT,
    Batch,
    Work,
    batches_of,
    load_batch,
    need_of,
    pending,
    save_plan,
)
from common.geometry import Geometry
from common.model.interface import interface_of
from common.model.model import Model
from common.model.reading import read_model
from tests.support.platform import IDENTITY, noise, refused, save

ALGORITHM = "autopet_interactive"
WORK = Work(ALGORITHM, "/model", {"folds": ("0",), "time_limit": None})


def entry(tmp_path: Path, name: str, depth: int) -> Entry:
    grid = Geometry((20, 20, depth), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY)
    for image in ("pet", "ct"):
        save(tmp_path / name / "images" / image / f"{name}.mha", noise(grid.shape), grid)
    return Entry(name, str(tmp_path / name))


@pytest.fixture
def model(golden_model: Path) -> Model:
    return read_model(golden_model, ALGORITHM)


def test_batches_are_of_the_size_asked_for_the_largest_cases_first(model: Model, tmp_path: Path) -> None:
    entries = [entry(tmp_path, name, depth) for name, depth in (("a", 30), ("b", 90), ("c", 60))]
    interface = interface_of(ALGORITHM, model)
    batches = batches_of(entries, 2, interface, model)
    assert [[case.case for case in batch.cases] for batch in batches] == [["b", "c"], ["a"]]
    needs = [need_of(case, interface, model) for case in entries]
    assert [batch.memory for batch in batches] == [needs[1], needs[0]]
    assert needs[0] < needs[2] < needs[1]


def test_a_case_that_cannot_be_read_needs_what_a_process_needs(model: Model, tmp_path: Path) -> None:
    missing = Entry("a", str(tmp_path / "a"))
    assert need_of(missing, interface_of(ALGORITHM, model), model) == BASE_MEMORY


def test_what_is_left_are_cases_without_an_outcome_and_failed_ones_where_wanted(tmp_path: Path) -> None:
    outcomes = {
        "done": Outcome("done"),
        "failed": Outcome("failed", "no PET"),
        "killed": Outcome("killed", CUT_SHORT),
        "killed twice": Outcome("killed twice", CUT_SHORT, begun=2),
    }
    for name, outcome in outcomes.items():
        write_outcome(outcome, tmp_path / name)
    entries = [Entry(name, "x") for name in (*outcomes, "new")]
    left = [found.case for found in pending(entries, tmp_path, retry=False)]
    assert left == ["killed", "new"]
    left = [found.case for found in pending(entries, tmp_path, retry=True)]
    assert left == ["failed", "killed", "killed twice", "new"]


def test_a_plan_is_read_back_by_its_jobs(tmp_path: Path) -> None:
    batch = Batch("one", (Entry("a", "/a"), Entry("b", "/b", "/t")), 7)
    work, found = load_batch(save_plan(WORK, [batch], tmp_path / "out"), "one")
    assert found == batch
    assert work.settings == {"folds": ["0"], "time_limit": None}


def test_outcomes_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    save_plan(WORK, [], tmp_path)
    save_plan(WORK, [], tmp_path)
    with refused(tmp_path, "outcomes of another algorithm, model or settings"):
        save_plan(Work(ALGORITHM, "/other", {}), [], tmp_path)
