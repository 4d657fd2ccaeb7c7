"""Engines for GPUs from model folders; they are built, none is run."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tensorrt_rtx_bindings as trt

from common.errors import ModelError
from common.export.cpu_files import remove_cpu_files
from common.export.tensorrt import engines
from common.export.tensorrt.build import Built, Request
from common.export.tensorrt.engines import EngineOptions, add_engines
from common.hashes import sha256_of
from common.inference.files import EngineFile
from common.model.model import Model
from common.model.reading import read_model
from containers.nnunet.export import export

AUTOPET, NNUNET = "autopet_interactive", "nnunet"
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def compiled(golden_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden model with engines for all GPUs; not to be changed."""
    folder = shutil.copytree(golden_model, tmp_path_factory.mktemp("compiled") / "model")
    add_engines(folder, AUTOPET)
    return folder


def engines_of(model: Model) -> list[EngineFile]:
    return [engine for network in model.networks for fold in network.folds for engine in fold.engines]


def test_every_fold_has_an_engine_for_each_target(compiled: Path) -> None:
    found = engines_of(read_model(compiled, AUTOPET))
    assert [(engine.path.name, engine.target) for engine in found] == [
        ("segmentation_fold_0.sm75.engine", "7.5"),
        ("segmentation_fold_0.sm80plus.engine", "8.0+"),
        ("segmentation_fold_1.sm75.engine", "7.5"),
        ("segmentation_fold_1.sm80plus.engine", "8.0+"),
    ]
    assert len({engine.sha256 for engine in found}) == 4


def test_what_the_model_says_of_engines_is_right(compiled: Path) -> None:
    for engine in engines_of(read_model(compiled, AUTOPET)):
        assert engine.sha256 == sha256_of(engine.path)
        assert (engine.carrier, engine.version) == ("tensorrt_rtx", trt.__version__)
        assert (engine.precision, engine.batches, engine.plugin) == ("float16", (1,), False)
        assert engine.activation_memory > 32 * 48 * 48


def test_the_error_of_float16_is_measured_for_every_fold(compiled: Path) -> None:
    for fold in read_model(compiled, AUTOPET).networks[0].folds:
        assert fold.float16 is not None
        assert fold.float16.relative_rms_difference is not None
        assert 0 < fold.float16.relative_rms_difference < 0.01


def test_all_else_stays_as_the_export_left_it(golden_model: Path, compiled: Path) -> None:
    before, after = read_model(golden_model, AUTOPET), read_model(compiled, AUTOPET)
    (network,) = after.networks
    folds = tuple(
        replace(fold, engines=(), float16=None, path=golden_model / str(fold.path and fold.path.name))
        for fold in network.folds
    )
    assert replace(after, networks=(replace(network, folds=folds),)) == before


def test_compiling_again_gives_the_same_bytes(compiled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(compiled, tmp_path / "model")
    before = {path.name: sha256_of(path) for path in folder.iterdir()}
    add_engines(folder, AUTOPET)
    assert {path.name: sha256_of(path) for path in folder.iterdir()} == before


def test_one_target_gives_one_engine_and_removes_the_other(compiled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(compiled, tmp_path / "model")
    add_engines(folder, AUTOPET, EngineOptions(engines.TARGETS["7.5"]))
    assert [engine.target for engine in engines_of(read_model(folder, AUTOPET))] == ["7.5", "7.5"]
    assert len(list(folder.glob("*.engine"))) == 2


def test_engines_can_take_all_mirrorings_at_once(tmp_path: Path) -> None:
    export(ROOT / "containers/nnunet/demo/checkpoint", tmp_path)
    add_engines(tmp_path, NNUNET, EngineOptions(("8.0+",), batch_mirrorings=True))
    model = read_model(tmp_path, NNUNET)
    assert model.networks[0].mirror_axes == (2,)
    assert [engine.batches for engine in engines_of(model)] == [(1, 2)]


def test_without_cpu_files_the_engines_are_the_model(compiled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(compiled, tmp_path / "model")
    remove_cpu_files(folder, AUTOPET)
    assert not list(folder.glob("*.onnx"))
    model = read_model(folder, AUTOPET)
    assert [fold.path for fold in model.networks[0].folds] == [None, None]
    assert len(engines_of(model)) == 4
    with pytest.raises(ModelError, match=r"fold 0 has no ONNX file to compile; make the folder again"):
        add_engines(folder, AUTOPET)


def test_cpu_files_stay_where_there_are_no_engines(golden_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(golden_model, tmp_path / "model")
    with pytest.raises(ModelError, match="network segmentation has no engines, so its ONNX files stay"):
        remove_cpu_files(folder, AUTOPET)
    assert len(list(folder.glob("*.onnx"))) == 2


@pytest.mark.parametrize("interrupted", ["build", "measure_float16", "replace_networks"])
def test_an_interruption_leaves_the_exported_model(
    golden_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    folder = shutil.copytree(golden_model, tmp_path / "model")
    before = sorted(path.name for path in folder.iterdir())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def fake(request: Request) -> Built:
        request.engine.write_bytes(b"engine")
        return Built("1", request.target, 1, 0.0, 1)

    monkeypatch.setattr(engines, "build", fake)
    monkeypatch.setattr(engines, interrupted, interrupt)
    with pytest.raises(KeyboardInterrupt):
        add_engines(folder, AUTOPET)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not engines_of(read_model(folder, AUTOPET))
