import itertools
import logging
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest

from common.errors import MachineError, ModelError
from common.inference.engines import ENGINES, EngineName, ladder, machine
from common.inference.engines.contract import (
    Array,
    Backend,
    Device,
    Engine,
    EngineInfo,
    EngineMissingError,
    EnginePrecision,
    TileByTile,
)
from common.inference.engines.ladder import CPU, Ladder, backend, make_cpu_engine, make_engine, rungs
from common.inference.files import NetworkFiles
from tests.support.onnx_files import save_condensing, save_widening

ON_CPU: tuple[EngineName, ...] = ("cpu", "openvino")
TILE = np.ones((1, 1, 8, 8, 8), np.float32)
A = NetworkFiles(Path("a.onnx"))

WITHIN_64_MIB = """
import re, resource, sys
from pathlib import Path
import numpy as np
from common.errors import PetctError
from common.inference.engines.ladder import make_engine

def limit():
    held = 1024 * int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    limit = held + 64 * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

path, small, name, when = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))  # of threads, of which there may be many
warm = make_engine(Path(small), engine=name)
warm.run(np.ones(warm.tile_shape, np.float32))
try:
    if when == "load":
        limit()
    engine = make_engine(Path(path), engine=name)
    tile = np.ones(engine.tile_shape, np.float32)
    first = engine.run(tile)
    if when == "run":
        limit()
    engine.run(tile)
except PetctError as error:
    print(error)
    sys.exit(error.exit_code)
"""


class Pretended:
    """A backend that is missing, fails while it loads, fails at its n-th tile, or works."""

    PACKAGES: tuple[str, ...] = ()
    DEVICE: Device = "cpu"
    PRECISIONS: tuple[EnginePrecision, ...] = ("float32", "bfloat16")

    def __init__(
        self, *, lacks: str | None = None, load: Exception | None = None, fails_at: int | None = None
    ) -> None:
        self.lacks, self.failure, self.fails_at = lacks, load, fails_at
        self.loads = 0
        self.alive = 0
        self.engine: type[PretendedEngine] = PretendedEngine
        self.watch: list[float] = []

    def missing(self, precision: EnginePrecision) -> str | None:
        return self.lacks

    def load(self, files: NetworkFiles, precision: EnginePrecision) -> Engine:
        self.loads += 1
        if self.failure:
            raise self.failure
        return self.engine(self, precision)


class PretendedEngine(TileByTile):
    tile_shape = TILE.shape

    def __init__(self, backend: Pretended, precision: EnginePrecision) -> None:
        self.info = EngineInfo("pretended", "none", precision, "0")
        self.backend = backend
        self.runs = 0
        backend.alive += 1

    def __del__(self) -> None:
        self.backend.alive -= 1

    def compute(self, tile: Array) -> Array:
        self.runs += 1
        if self.runs == self.backend.fails_at:
            raise MachineError("memory ran out")
        self.backend.watch.append(float(tile.flat[0]))
        return tile


Pretend = Callable[..., None]
Logged = Callable[[int], list[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_widening(tmp_path / "network.onnx", 2, 8)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Put other backends in the place of those that there are."""

    def pretend(**backends: Pretended) -> None:
        everywhere: dict[str, Backend] = {name: Pretended(lacks="not there") for name in ladder.MODULES}
        everywhere |= backends
        monkeypatch.setattr(ladder, "backend", everywhere.__getitem__)

    return pretend


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """What was logged at a level."""
    caplog.set_level(logging.INFO)
    return lambda level: [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.parametrize("engine", ON_CPU)
def test_engine_says_what_it_is(path: Path, engine: EngineName) -> None:
    made = make_engine(path, engine=engine)
    assert (made.info.name, made.info.precision) == (engine, "float32")
    assert made.tile_shape == TILE.shape
    assert made.run(TILE).shape == (1, 2, 8, 8, 8)


@pytest.mark.parametrize("engine", ON_CPU)
def test_logits_are_not_overwritten_by_the_next_tile(path: Path, engine: EngineName) -> None:
    made = make_engine(path, engine=engine)
    logits = made.run(TILE)
    made.run(2 * TILE)
    np.testing.assert_array_equal(logits, np.ones((1, 2, 8, 8, 8)))


def test_auto_takes_openvino_on_a_cpu_of_any_vendor(path: Path) -> None:
    assert make_cpu_engine(path).info.name == "openvino"


def test_openvino_needs_no_temporary_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    assert make_engine(path, engine="openvino").info.name == "openvino"


def test_precision_reaches_openvino(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend("openvino").HINTS, "float32", "nonsense")  # type: ignore[attr-defined]
    with pytest.raises(MachineError, match=r"openvino fails to load .*network.onnx"):
        make_engine(path, engine="openvino")


def run_within_64_mib(small: Path, engine: EngineName, when: str) -> subprocess.CompletedProcess[str]:
    """Load and run a large network in a process whose memory ends when it loads or runs."""
    save = save_condensing if when == "load" else save_widening
    large = save(small.parent / "large.onnx", 32 if when == "load" else 128, 100)
    command = [sys.executable, "-c", WITHIN_64_MIB, str(large), str(small), engine, when]
    return subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("engine", "when"), [*itertools.product(ON_CPU, ["load", "run"]), ("auto", "load")])
def test_memory_that_runs_out_is_the_machines_fault(path: Path, engine: EngineName, when: str) -> None:
    ended = run_within_64_mib(path, engine, when)
    assert ended.returncode == MachineError.exit_code, ended.stderr
    assert len(ended.stdout.splitlines()) == 1


def test_memory_that_an_engine_gives_back_serves_the_next_one(path: Path) -> None:
    ended = run_within_64_mib(path, "auto", "run")
    assert ended.returncode == 0, ended.stderr
    assert "failed on a tile of shape (1, 100, 100, 100)" in ended.stderr
    assert "going on with engine cpu in float32" in ended.stderr


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Nonsense"


def absent_weight(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = "absent"


def later_format(model: onnx.ModelProto) -> None:
    model.ir_version = 99


@pytest.mark.parametrize(
    ("engine", "damage"),
    [
        *itertools.product([*ON_CPU, "auto"], [unknown_operator, absent_weight]),
        ("cpu", later_format),  # OpenVINO reads what it knows of later formats
    ],
)
def test_network_that_cannot_be_loaded_is_the_models_fault(path: Path, engine: EngineName, damage) -> None:
    model = onnx.load(path)
    damage(model)
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"network.onnx: \w+ cannot load this network") as caught:
        make_engine(path, engine=engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", [*ON_CPU, "auto"])
@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_file_that_is_no_network_is_the_models_fault(
    path: Path, content: bytes | None, engine: EngineName
) -> None:
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ModelError, match=r"network.onnx: \w+ cannot load this network"):
        make_engine(path, engine=engine)


@pytest.mark.parametrize("engine", [*ON_CPU, "auto"])
def test_tile_of_another_shape_is_the_models_fault(path: Path, engine: EngineName) -> None:
    with pytest.raises(
        ModelError, match=r"network.onnx: takes tiles of shape \[1, 1, 8, 8, 8\], found \[1, 1, 9, 8, 8\]"
    ):
        make_engine(path, engine=engine).run(np.ones((1, 1, 9, 8, 8), np.float32))


def test_auto_tries_the_gpu_first_and_the_coarser_precision_before_the_finer() -> None:
    assert [*map(str, rungs("auto", "bfloat16"))] == [
        "engine tensorrt in float16",
        "engine cuda in float32",
        "engine openvino in bfloat16",
        "engine openvino in float32",
        "engine cpu in float32",
    ]


def test_bfloat16_is_refused_for_a_backend_that_never_has_it(path: Path) -> None:
    with pytest.raises(MachineError, match=r"engine cpu does not compute in bfloat16; .* --engine openvino"):
        make_engine(path, engine="cpu", precision="bfloat16")


def test_bfloat16_is_not_emulated(path: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(machine, "instruction_sets", lambda: ("avx2", "avx512f"))
    made = make_engine(path, precision="bfloat16")
    assert (made.info.name, made.info.precision) == ("openvino", "float32")
    (warning,) = logged(logging.WARNING)
    assert "has no instructions for bfloat16; going on with engine openvino in float32" in warning
    with pytest.raises(MachineError, match="has no instructions for bfloat16"):
        make_engine(path, engine="openvino", precision="bfloat16")


@pytest.mark.parametrize("missing", ladder.MODULES)
def test_every_rung_may_be_missing(pretend: Pretend, missing: str, logged: Logged) -> None:
    pretend(**{name: Pretended(lacks="gone" if name == missing else None) for name in ladder.MODULES})
    made = Ladder().load(A)
    np.testing.assert_array_equal(made.run(TILE), TILE)
    assert not logged(logging.WARNING)
    steps = [line for line in logged(logging.INFO) if "going on" in line]
    expected = ["engine tensorrt in float32: gone; going on with engine cuda in float32"]
    assert steps == (expected if missing == "tensorrt" else [])


@pytest.mark.parametrize("failure", [MachineError("memory ran out"), ModelError("unknown operator")])
def test_rung_that_fails_to_load_is_one_warning_and_the_next(
    pretend: Pretend, failure: Exception, logged: Logged
) -> None:
    pretend(openvino=Pretended(load=failure), cpu=Pretended())
    Ladder().load(A).run(TILE)
    assert logged(logging.WARNING) == [f"{failure}; going on with engine cpu in float32"]


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_tile_that_fails_is_computed_on_the_next_rung(pretend: Pretend, tile: int, logged: Logged) -> None:
    failing, working = Pretended(fails_at=tile), Pretended()
    pretend(openvino=failing, cpu=working)
    made = Ladder().load(A)
    for number in range(4):
        np.testing.assert_array_equal(made.run(number * TILE), number * TILE)
    assert (failing.loads, working.loads) == (1, 1)
    assert logged(logging.WARNING) == ["memory ran out; going on with engine cpu in float32"]


def test_engine_that_failed_is_gone_before_the_next_is_loaded(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, working = Pretended(fails_at=1), Pretended()
    alive: list[int] = []

    def load(files: NetworkFiles, precision: EnginePrecision) -> Engine:
        alive.append(failing.alive)
        return PretendedEngine(working, precision)

    monkeypatch.setattr(working, "load", load)
    pretend(openvino=failing, cpu=working)
    Ladder().load(A).run(TILE)
    assert alive == [0]


def test_what_failed_for_one_fold_is_not_tried_for_the_next(pretend: Pretend) -> None:
    failing, working = Pretended(fails_at=1), Pretended()
    pretend(openvino=failing, cpu=working)
    tried = Ladder()
    for fold in ("a.onnx", "b.onnx", "c.onnx"):
        tried.load(NetworkFiles(Path(fold))).run(TILE)
    assert (failing.loads, working.loads) == (1, 3)


def test_the_last_rungs_error_is_the_one_that_counts(pretend: Pretend) -> None:
    pretend(openvino=Pretended(load=ModelError("no such operator")), cpu=Pretended(fails_at=1))
    made = Ladder().load(A)
    with pytest.raises(MachineError, match="memory ran out"):
        made.run(TILE)
    with pytest.raises(MachineError, match=r"a.onnx: no engine is left"):
        made.run(TILE)


def test_the_rung_taken_is_one_line_once_a_tile_is_computed(pretend: Pretend, logged: Logged) -> None:
    pretend(cpu=Pretended())
    tried = Ladder()
    folds = [tried.load(NetworkFiles(Path(fold))) for fold in ("a.onnx", "b.onnx")]
    assert not any("engine: " in line for line in logged(logging.INFO))
    for fold in folds:
        fold.run(TILE)
    assert [line for line in logged(logging.INFO) if "engine: " in line] == [str(folds[0].info)]


def test_a_package_that_does_not_start_is_one_warning_and_the_next(pretend: Pretend, logged: Logged) -> None:
    failure = ImportError("libtbb.so.12: failed to map segment from shared object")
    pretend(openvino=Pretended(load=failure), cpu=Pretended())
    Ladder().load(A).run(TILE)
    (warning,) = logged(logging.WARNING)
    assert warning.startswith("openvino fails to load a.onnx (libtbb.so.12: failed to map segment")


def test_the_ladder_has_every_engine_in_the_order_of_their_names() -> None:
    assert ("auto", *ladder.MODULES) == ENGINES


class Ahead(PretendedEngine):
    """Takes three tiles before it gives the first."""

    def stream(self, tiles: Iterable[Array]) -> Iterator[Array]:
        source, taken = iter(tiles), deque[Array]()
        while True:
            taken.extend(islice(source, 3 - len(taken)))
            if not taken:
                return
            yield self.compute(taken.popleft())


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_tiles_in_flight_are_neither_lost_nor_computed_twice(pretend: Pretend, fails_at: int) -> None:
    failing, working = Pretended(fails_at=fails_at), Pretended()
    failing.engine = Ahead
    computed: list[float] = []
    working.watch = computed
    pretend(openvino=failing, cpu=working)
    tiles = [number * TILE[0] for number in range(7)]
    np.testing.assert_array_equal([*Ladder().load(A).stream(iter(tiles))], tiles)
    assert computed == [*range(fails_at - 1, 7)]


def test_two_rungs_may_fail_at_the_same_tile(pretend: Pretend) -> None:
    first, second = Pretended(fails_at=3), Pretended(fails_at=1)
    first.engine = second.engine = Ahead
    pretend(cuda=first, openvino=second, cpu=Pretended())
    tiles = [number * TILE[0] for number in range(7)]
    np.testing.assert_array_equal([*Ladder().load(A).stream(iter(tiles))], tiles)


def test_a_tile_that_cannot_be_read_is_no_engines_failure(pretend: Pretend) -> None:
    def reading() -> Iterator[Array]:
        yield TILE[0]
        raise MachineError("the disk is gone")

    other = Pretended()
    pretend(openvino=Pretended(), cpu=other)
    with pytest.raises(MachineError, match="the disk is gone"):
        list(Ladder().load(A).stream(reading()))
    assert other.loads == 0


def test_a_model_for_gpus_alone_has_nothing_for_other_engines(logged: Logged) -> None:
    for engine in ON_CPU:
        with pytest.raises(EngineMissingError, match="exported with --no-cpu"):
            Ladder(engine).load(NetworkFiles(None))
    with pytest.raises(EngineMissingError, match="exported with --no-cpu"):
        Ladder(devices=CPU).load(NetworkFiles(None))
    assert not logged(logging.WARNING)


def test_several_tiles_are_one_batch(path: Path) -> None:
    engine = make_engine(path)
    tiles = np.random.default_rng(0).standard_normal((3, 1, 8, 8, 8), np.float32)
    expected = [engine.run(tile[None])[0] for tile in tiles]
    np.testing.assert_array_equal(engine.run(tiles), expected)


@pytest.mark.parametrize("engine", ON_CPU)
def test_a_flipped_view_is_computed_as_its_copy(path: Path, engine: EngineName) -> None:
    made = make_engine(path, engine=engine)
    tile = np.random.default_rng(0).standard_normal((1, 8, 8, 8), np.float32)
    flipped = np.flip(tile, (1, 3))
    (found,) = made.stream([flipped])
    np.testing.assert_array_equal(found, made.run(flipped.copy()[None])[0])
