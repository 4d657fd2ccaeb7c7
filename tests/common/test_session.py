"""Many cases in one process: the same masks, engines that stay, nothing else that does."""

import shutil
import time
from pathlib import Path

import pytest

from common import memory
from common import session as module
from common.cli.run import run
from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.errors import InputError, MachineError
from common.inference.engines.pool import EnginePool, PooledEngine
from common.inference.files import NetworkFiles
from common.memory import GIB
from common.session import Session

ALGORITHM = "autopet_interactive"
MASKS = "images/tumor-lesion-segmentation"
QUICK = {"mirroring": "none", "step": 1.0}
FOREVER = 1e7
"""Later on `time.monotonic` than any test."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Input folders of different patients and sizes; not to be changed."""
    folder = tmp_path_factory.mktemp("cases")
    for seed, shape in enumerate([(12, 20, 16), (14, 18, 16)]):
        phantom = make_phantom(seed, shape, (6.0, 4.0, 4.0))
        write_phantom(phantom, folder / f"input_{seed}", folder / f"patient-{seed}.mha")
    return [folder / "input_0", folder / "input_1"]


@pytest.fixture
def warm(golden_model: Path) -> Session:
    """One that keeps its engines, as `petct serve` has it."""
    return Session(ALGORITHM, golden_model, QUICK, keep=True)


def masks_in(output: Path) -> list[str]:
    return [path.name for path in (output / MASKS).iterdir()]


def test_masks_are_those_of_a_process_each(
    warm: Session, cases: list[Path], golden_model: Path, tmp_path: Path
) -> None:
    warm.warm_up(FOREVER)
    for position, case in enumerate([cases[0], cases[1], cases[0]]):
        found = warm.segment(case, tmp_path / "warm", time.monotonic()).read_bytes()
        alone = run(ALGORITHM, case, tmp_path / str(position), golden_model, QUICK)
        assert found == alone.read_bytes()


def test_the_mask_of_the_case_before_is_gone_and_what_others_left_is_not(
    warm: Session, cases: list[Path], tmp_path: Path
) -> None:
    warm.segment(cases[0], tmp_path, time.monotonic())
    (tmp_path / "notes.txt").touch()
    warm.segment(cases[1], tmp_path, time.monotonic())
    assert masks_in(tmp_path) == ["patient-1.mha"]
    assert (tmp_path / "notes.txt").exists()


def test_a_case_that_fails_leaves_no_mask_of_the_one_before(
    warm: Session, cases: list[Path], tmp_path: Path
) -> None:
    warm.segment(cases[0], tmp_path / "output", time.monotonic())
    broken = shutil.copytree(cases[1], tmp_path / "broken")
    next((broken / "images/pet").iterdir()).unlink()
    with pytest.raises(InputError):
        warm.segment(broken, tmp_path / "output", time.monotonic())
    assert masks_in(tmp_path / "output") == []


def test_output_folders_that_the_platform_removes_between_cases_are_made_again(
    warm: Session, cases: list[Path], tmp_path: Path
) -> None:
    for case in cases:
        assert warm.segment(case, tmp_path / "output", time.monotonic()).exists()
        shutil.rmtree(tmp_path / "output")


def test_a_case_that_needs_the_memory_of_engines_that_stay_gets_it(
    warm: Session, cases: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = warm._engines
    monkeypatch.setattr(memory, "available_memory", lambda: GIB if pool.is_empty else 0)
    warm.warm_up(FOREVER)
    assert not pool.is_empty
    assert warm.segment(cases[0], tmp_path, time.monotonic()).exists()


def test_a_case_that_does_not_fit_without_engines_either_is_refused(
    warm: Session, cases: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    warm.warm_up(FOREVER)
    with pytest.raises(MachineError, match="GiB are free"):
        warm.segment(cases[0], tmp_path, time.monotonic())


class Loads:
    """What pools load; each engine takes `seconds` on a fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.names: list[str] = []
        self.now = 0.0
        load = EnginePool.load

        def recorded(
            pool: EnginePool, network: str, files: NetworkFiles, *rest: float | None
        ) -> PooledEngine:
            if not pool.holds(files):
                self.names.append(files.name)
                self.now += seconds
            return load(pool, network, files, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(EnginePool, "load", recorded)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_engines_are_warm_before_the_first_case_and_stay(
    warm: Session, cases: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(monkeypatch, 0)
    assert warm.warm_up(FOREVER) == "ready: 2 of 2 engines"
    for case in cases:
        warm.segment(case, tmp_path, time.monotonic())
    assert loads.names == ["segmentation_fold_0.onnx", "segmentation_fold_1.onnx"]


@pytest.mark.parametrize(("folds", "loaded"), [(None, "01"), (["1"], "1")])
def test_the_folds_that_are_used_get_warm_in_the_order_of_use(
    golden_model: Path, folds: list[str] | None, loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(monkeypatch, 0)
    session = Session(ALGORITHM, golden_model, {"folds": folds}, keep=True)
    assert session.warm_up(FOREVER) == f"ready: {len(loaded)} of {len(loaded)} engines"
    assert loads.names == [f"segmentation_fold_{fold}.onnx" for fold in loaded]


def test_what_does_not_fit_into_the_time_is_left_for_the_first_case(
    golden_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(ALGORITHM, golden_model, QUICK, keep=True)
    Loads(monkeypatch, 250)
    ready = session.warm_up(240)
    assert ready == "ready: 1 of 2 engines; the first case loads the others: the time for it is over"


def test_what_does_not_fit_into_memory_is_left_for_the_first_case(
    golden_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 10**7)
    ready = Session(ALGORITHM, golden_model, QUICK, keep=True).warm_up(FOREVER)
    assert ready.startswith("ready: 0 of 2 engines; the first case loads the others: network segmentation")
    assert "GiB are free" in ready


def test_an_engine_that_does_not_get_ready_is_left_for_the_first_case(
    warm: Session, cases: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    ready = warm.warm_up(time.monotonic() + 0.001)
    assert ready.endswith("the first case loads the others: segmentation_fold_0.onnx takes too long")
    assert warm.segment(cases[0], tmp_path, time.monotonic()).exists()
