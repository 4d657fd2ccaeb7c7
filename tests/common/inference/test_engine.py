import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from common.errors import MachineError, ModelError
from common.inference import engine as engines
from common.inference.engine import CUDA, make_engine
from common.inference.options import EngineName
from tests.common.inference.helpers import save_condensing, save_widening

ON_CPU: tuple[EngineName, ...] = ("cpu", "openvino")
TILE = np.ones((1, 1, 8, 8, 8), np.float32)

LOAD_WITHIN_64_MIB = """
import re, resource, sys
from pathlib import Path
from common.errors import PetctError
from common.inference.engine import make_engine

path, small, name = sys.argv[1:]
make_engine(Path(small), engine=name)
held = 1024 * int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
limit = held + 64 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    make_engine(Path(path), engine=name)
except PetctError as error:
    sys.exit(error.exit_code)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_widening(tmp_path / "network.onnx", 2, 8)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose GPU ONNX Runtime takes for usable."""
    monkeypatch.setattr(engines, "fastest_engine", lambda: "cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])


@pytest.mark.parametrize("engine", ON_CPU)
def test_engine_says_what_it_is(path: Path, engine: EngineName) -> None:
    made = make_engine(path, engine=engine)
    assert (made.info.name, made.info.precision) == (engine, "float32")
    assert made.run(TILE).shape == (1, 2, 8, 8, 8)


def test_openvino_needs_no_temporary_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert make_engine(path, engine="openvino").info.name == "openvino"


def test_precision_reaches_openvino(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.OPENVINO_HINTS, "float32", "nonsense")
    with pytest.raises(MachineError, match=r"openvino fails to load .*network.onnx"):
        make_engine(path, engine="openvino")


@pytest.mark.parametrize("engine", ON_CPU)
def test_memory_that_runs_out_while_loading_is_the_machines_fault(path: Path, engine: EngineName) -> None:
    large = save_condensing(path.parent / "large.onnx", 32, 100)
    command = [sys.executable, "-c", LOAD_WITHIN_64_MIB, str(large), str(path), engine]
    assert subprocess.run(command, timeout=60, check=False).returncode == MachineError.exit_code


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Nonsense"


def absent_weight(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = "absent"


def later_format(model: onnx.ModelProto) -> None:
    model.ir_version = 99


@pytest.mark.parametrize("engine", ON_CPU)
@pytest.mark.parametrize("damage", [unknown_operator, absent_weight, later_format])
def test_network_that_cannot_be_loaded_is_the_models_fault(path: Path, engine: EngineName, damage) -> None:
    model = onnx.load(path)
    damage(model)
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"network.onnx: \w+ cannot load this network") as caught:
        make_engine(path, engine=engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_file_that_is_no_network_is_the_models_fault(path: Path, content: bytes | None) -> None:
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ModelError, match=r"network.onnx: cpu cannot load this network"):
        make_engine(path, engine="cpu")


@pytest.mark.parametrize("engine", ON_CPU)
def test_tile_of_another_shape_is_the_models_fault(path: Path, engine: EngineName) -> None:
    with pytest.raises(
        ModelError, match=r"network.onnx: takes tiles of shape \[1, 1, 8, 8, 8\], found \[1, 1, 9, 8, 8\]"
    ):
        make_engine(path, engine=engine).run(np.ones((1, 1, 9, 8, 8), np.float32))


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("with_gpu")
def test_gpu_that_does_not_start_is_one_warning_and_the_cpu(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engines._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        folds = [make_engine(path) for _ in range(2)]
    assert {fold.info.name for fold in folds} == {engines.fastest_cpu_engine()}
    assert len(caplog.records) == 1
    assert "finds no GPU that it can use" in caplog.text


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("with_gpu")
def test_gpu_that_does_not_start_is_refused_where_it_was_asked_for(path: Path) -> None:
    with pytest.raises(MachineError, match="finds no GPU that it can use"):
        make_engine(path, engine="cuda")


@pytest.mark.usefixtures("with_gpu")
def test_gpu_computes_in_float32_proper(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*_: object, providers: list[tuple[str, dict[str, str]]], **__: object) -> None:
        asked.extend(providers)
        raise RuntimeError("no GPU here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(MachineError, match=r"cuda fails to load .*\(no GPU here\)"):
        make_engine(path, engine="cuda")
    assert asked == [(CUDA, {"use_tf32": "0"})]
