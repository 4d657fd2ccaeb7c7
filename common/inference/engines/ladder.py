"""The ladder: the fallback order of engines, from the fastest to the one that runs on every machine.

A rung is one backend at one precision. It is used as soon as it has loaded the network and computed a tile.
When it fails, now or later, the same tile is computed on the next rung, and the log gets one line.
"""

import logging
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference.engines import PRECISIONS, EngineName, Precision
from common.inference.engines.contract import (
    DEVICES,
    Backend,
    Device,
    Engine,
    EngineInfo,
    EngineMissingError,
    fails_to_load,
)

logger = logging.getLogger(__name__)

MODULES: dict[EngineName, str] = {
    "cuda": "onnxruntime_cuda",
    "openvino": "openvino_cpu",
    "cpu": "onnxruntime_cpu",
}
CPU: tuple[Device, ...] = ("cpu",)


class Rung(NamedTuple):
    """One backend at one precision."""

    name: EngineName
    precision: Precision

    def __str__(self) -> str:
        return f"engine {self.name} in {self.precision}"


class Ladder:
    """Engines for the folds of one network; a rung that failed for one fold is not tried for the next.

    Parameters
    ----------
    engine
        `auto`, or the one backend to use.
    precision
        Preferred precision. `auto` uses float32 where a backend or this machine does not support bfloat16.
    devices
        Kinds of devices that may be used.

    Raises
    ------
    MachineError
        The backend requested by name does not support the precision on any machine.

    """

    def __init__(
        self,
        engine: EngineName = "auto",
        precision: Precision = "float32",
        devices: Collection[Device] = DEVICES,
    ) -> None:
        self._rungs = [rung for rung in rungs(engine, precision) if backend(rung.name).DEVICE in devices]
        self._logged: EngineInfo | None = None

    def load(self, path: Path) -> "TriedEngine":
        """Load an ONNX file on the first rung that accepts it.

        Raises the error of the last rung: `ModelError` for a file that is not a valid network, otherwise
        `MachineError`.
        """
        return TriedEngine(self, path)

    def load_first(self, path: Path) -> Engine:
        """Load the file on the first remaining rung that accepts it; raises as `load` does."""
        while True:
            rung = self._rungs[0]
            try:
                return _load(rung, path)
            except (MachineError, ModelError) as error:
                self.drop_first(error)

    def drop_first(self, error: MachineError | ModelError) -> None:
        """Remove the first remaining rung and log why; if it is the last, raise the error."""
        if len(self._rungs) == 1:
            raise error
        failed = self._rungs.pop(0)
        # A missing GPU is no reason for a warning; a precision that was requested and is missing is.
        expected = isinstance(error, EngineMissingError) and failed.precision == "float32"
        level = logging.INFO if expected else logging.WARNING
        logger.log(level, "%s; going on with %s", error, self._rungs[0])

    def log_once(self, info: EngineInfo) -> None:
        """Log the engine that has computed its first tile."""
        if info != self._logged:
            self._logged = info
            logger.info("%s", info)


class TriedEngine:
    """An engine with fallback: a tile that fails on one rung is computed on the next."""

    def __init__(self, ladder: Ladder, path: Path) -> None:
        self._ladder = ladder
        self._path = path
        self._engine: Engine | None = ladder.load_first(path)

    @property
    def info(self) -> EngineInfo:
        """Description of the engine in use, for the log."""
        return self._present.info

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Input shape (B, C, [Z,] Y, X)."""
        return self._present.tile_shape

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X).

        Raises `ModelError` for tiles of another shape, `MachineError` when the last rung fails.
        """
        if tiles.shape != self.tile_shape:
            raise ModelError(
                f"{self._path}: takes tiles of shape {list(self.tile_shape)}, found {list(tiles.shape)} as "
                "model.json wants it; export the checkpoint again"
            )
        while True:
            try:
                logits = self._present.run(tiles)
            except MachineError as error:
                reason = str(error)
            else:
                self._ladder.log_once(self.info)
                return logits
            # Outside `except`, so that no traceback keeps the engine alive: two may not fit into memory.
            self._engine = None
            self._ladder.drop_first(MachineError(reason))
            self._engine = self._ladder.load_first(self._path)

    @property
    def _present(self) -> Engine:
        if self._engine is None:
            raise MachineError(f"{self._path}: no engine is left to run it; the log has the reasons")
        return self._engine


def make_engine(path: Path, *, engine: EngineName = "auto", precision: Precision = "float32") -> TriedEngine:
    """Load one ONNX file on a new ladder; raises as `Ladder` and `Ladder.load` do."""
    return Ladder(engine, precision).load(path)


def make_cpu_engine(path: Path) -> TriedEngine:
    """Load one ONNX file on the fastest CPU engine, in float32; raises as `Ladder.load` does."""
    return Ladder(devices=CPU).load(path)


def rungs(engine: EngineName, precision: Precision) -> list[Rung]:
    """Return the rungs in the order of trial; raises as `Ladder` does."""
    if engine == "auto":
        fallbacks = PRECISIONS[PRECISIONS.index(precision) :: -1]
        return [Rung(name, p) for name in MODULES for p in fallbacks if p in backend(name).PRECISIONS]
    if precision in backend(engine).PRECISIONS:
        return [Rung(engine, precision)]
    able = " or ".join(name for name in MODULES if precision in backend(name).PRECISIONS)
    raise MachineError(f"engine {engine} does not compute in {precision}; {precision} needs --engine {able}")


def backend(name: EngineName) -> Backend:
    """Import the module of a backend; the packages it needs are imported when it loads a network."""
    return cast(Backend, import_module(f"{__package__}.{MODULES[name]}"))


def _load(rung: Rung, path: Path) -> Engine:
    module = backend(rung.name)
    if reason := module.missing(rung.precision):
        raise EngineMissingError(f"{rung}: {reason}")
    try:
        return module.load(path, rung.precision)
    except (ImportError, OSError) as error:
        # The package is installed but cannot be imported: a shared library or memory is missing.
        raise fails_to_load(rung.name, path, error) from error
