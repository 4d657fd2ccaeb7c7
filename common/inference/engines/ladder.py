"""The ladder of engines: the fastest first, each taken by trial, the next where one fails.

A rung is taken when it has loaded the network and computed a tile. One that fails later hands its tile to the
next. Each step down is one line in the log.
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
    Carrier,
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
    """One carrier at one precision."""

    name: EngineName
    precision: Precision

    def __str__(self) -> str:
        return f"engine {self.name} in {self.precision}"


class Ladder:
    """Engines for the folds of one network; what has failed for one fold is not tried for the next.

    Parameters
    ----------
    engine
        `auto`, or the one carrier to use.
    precision
        What to compute in. `auto` takes float32 where an engine or this machine has no bfloat16.
    devices
        What `auto` may compute on.

    Raises
    ------
    MachineError
        A carrier that was asked for by name never has the precision.

    """

    def __init__(
        self,
        engine: EngineName = "auto",
        precision: Precision = "float32",
        devices: Collection[Device] = DEVICES,
    ) -> None:
        self._rungs = [rung for rung in rungs(engine, precision) if carrier(rung.name).DEVICE in devices]
        self._taken: EngineInfo | None = None

    def load(self, path: Path) -> "TriedEngine":
        """The ONNX file on the highest rung that loads it.

        Raises what the last rung raises: `ModelError` for a file that is no network, `MachineError`
        otherwise.
        """
        return TriedEngine(self, path)

    def climb(self, path: Path) -> Engine:
        """Load the file on the highest rung that is left and loads it; raises as `load`."""
        while True:
            rung = self._rungs[0]
            try:
                return _load(rung, path)
            except (MachineError, ModelError) as error:
                self.step_down(error)

    def step_down(self, error: MachineError | ModelError) -> None:
        """Leave the highest rung, saying why; where it was the last, raise the error."""
        if len(self._rungs) == 1:
            raise error
        failed = self._rungs.pop(0)
        # A machine without a GPU is nothing to warn of; one without the precision that was asked for is.
        expected = isinstance(error, EngineMissingError) and failed.precision == "float32"
        level = logging.INFO if expected else logging.WARNING
        logger.log(level, "%s; going on with %s", error, self._rungs[0])

    def take(self, info: EngineInfo) -> None:
        """Say once which rung has computed its first tile."""
        if info != self._taken:
            self._taken = info
            logger.info("%s", info)


class TriedEngine:
    """A network on the ladder: a tile that fails on one rung is computed on the next."""

    def __init__(self, ladder: Ladder, path: Path) -> None:
        self._ladder = ladder
        self._path = path
        self._engine: Engine | None = ladder.climb(path)

    @property
    def info(self) -> EngineInfo:
        """What computes at present."""
        return self._present.info

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """(B, C, [Z,] Y, X)."""
        return self._present.tile_shape

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X).

        Raises `ModelError` for tiles that the network does not take, `MachineError` when the last rung fails.
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
                self._ladder.take(self.info)
                return logits
            # Only now, without the exception, nothing holds the engine: two at once may be more than fits.
            self._engine = None
            self._ladder.step_down(MachineError(reason))
            self._engine = self._ladder.climb(self._path)

    @property
    def _present(self) -> Engine:
        if self._engine is None:
            raise MachineError(f"{self._path}: no engine is left to run it; the log has the reasons")
        return self._engine


def make_engine(path: Path, *, engine: EngineName = "auto", precision: Precision = "float32") -> TriedEngine:
    """One ONNX file on a ladder of its own; raises as `Ladder` and `Ladder.load` do."""
    return Ladder(engine, precision).load(path)


def make_cpu_engine(path: Path) -> TriedEngine:
    """One ONNX file on the fastest CPU engine, in float32; raises as `Ladder.load` does."""
    return Ladder(devices=CPU).load(path)


def rungs(engine: EngineName, precision: Precision) -> list[Rung]:
    """The rungs to try, in their order; raises as `Ladder`."""
    if engine == "auto":
        finest_last = PRECISIONS[PRECISIONS.index(precision) :: -1]
        return [Rung(name, p) for name in MODULES for p in finest_last if p in carrier(name).PRECISIONS]
    if precision in carrier(engine).PRECISIONS:
        return [Rung(engine, precision)]
    able = " or ".join(name for name in MODULES if precision in carrier(name).PRECISIONS)
    raise MachineError(f"engine {engine} does not compute in {precision}; {precision} needs --engine {able}")


def carrier(name: EngineName) -> Carrier:
    """The module of that carrier; its packages are imported when it loads a network."""
    return cast(Carrier, import_module(f"{__package__}.{MODULES[name]}"))


def _load(rung: Rung, path: Path) -> Engine:
    module = carrier(rung.name)
    if reason := module.missing(rung.precision):
        raise EngineMissingError(f"{rung}: {reason}")
    try:
        return module.load(path, rung.precision)
    except (ImportError, OSError) as error:
        # The package is there but does not start: a library is missing, or memory to map it.
        raise fails_to_load(rung.name, path, error) from error
