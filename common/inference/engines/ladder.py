"""The ladder: the fallback order of engines, from the fastest to the one that runs on every machine.

A rung is one backend at one precision. It is used as soon as it has loaded the network and computed a tile.
When it fails, now or later, the tiles that it still owes are computed on the next rung, and the log gets one
line.
"""

import logging
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference.engines import PRECISIONS, EngineName, Precision
from common.inference.engines.contract import (
    DEVICES,
    Array,
    Backend,
    Device,
    Engine,
    EngineInfo,
    EngineMissingError,
    EnginePrecision,
    fails_to_load,
)
from common.inference.files import NetworkFiles

logger = logging.getLogger(__name__)

MODULES: dict[EngineName, str] = {
    "tensorrt": "tensorrt",
    "cuda": "onnxruntime_cuda",
    "openvino": "openvino_cpu",
    "cpu": "onnxruntime_cpu",
}
CPU: tuple[Device, ...] = ("cpu",)
COMPILED: tuple[EnginePrecision, ...] = ("float16",)
"""Precision of a backend that leaves no choice, because its engines were compiled with it."""


class Rung(NamedTuple):
    """One backend at one precision."""

    name: EngineName
    precision: EnginePrecision

    def __str__(self) -> str:
        return f"engine {self.name} in {self.precision}"


class Ladder:
    """Engines for the folds of one network; a rung that failed for one fold is not tried for the next.

    Parameters
    ----------
    engine
        `auto`, or the one backend to use.
    precision
        Preferred precision. `auto` uses float32 where a backend or this machine does not support bfloat16;
        TensorRT computes in float16 in any case.
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

    def load(self, files: NetworkFiles) -> "TriedEngine":
        """Load a network on the first rung that accepts it.

        Raises the error of the last rung: `ModelError` for a file that is not a valid network, otherwise
        `MachineError`.
        """
        return TriedEngine(self, files)

    def load_first(self, files: NetworkFiles) -> Engine:
        """Load the network on the first remaining rung that accepts it; raises as `load` does."""
        while True:
            rung = self._rungs[0]
            try:
                return _load(rung, files)
            except (MachineError, ModelError) as error:
                self.drop_first(error)

    def drop_first(self, error: MachineError | ModelError) -> None:
        """Remove the first remaining rung and log why; if it is the last, raise the error."""
        if len(self._rungs) == 1:
            raise error
        failed = self._rungs.pop(0)
        # A missing GPU is no reason for a warning; a precision that was requested and is missing is.
        expected = isinstance(error, EngineMissingError) and failed.precision != "bfloat16"
        level = logging.INFO if expected else logging.WARNING
        logger.log(level, "%s; going on with %s", error, self._rungs[0])

    def log_once(self, info: EngineInfo) -> None:
        """Log the engine that has computed its first tile."""
        if info != self._logged:
            self._logged = info
            logger.info("%s", info)


class TriedEngine:
    """An engine with fallback: tiles that one rung does not bring back are computed on the next."""

    def __init__(self, ladder: Ladder, files: NetworkFiles) -> None:
        self._ladder = ladder
        self._files = files
        self._engine: Engine | None = ladder.load_first(files)

    @property
    def info(self) -> EngineInfo:
        """Description of the engine in use, for the log."""
        return self._present.info

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Shape of one tile, (1, C, [Z,] Y, X)."""
        return self._present.tile_shape

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X); raises as `stream`."""
        logits = [*self.stream(tiles)]
        return logits[0][None] if len(logits) == 1 else np.stack(logits)

    def stream(self, tiles: Iterable[Array]) -> Iterator[Array]:
        """Yield the logits (K, [Z,] Y, X) of every tile (C, [Z,] Y, X), in order.

        Raises `ModelError` for tiles of another shape, `MachineError` when the last rung fails, and whatever
        `tiles` raises.
        """
        source = _Source(map(self._fitting, tiles))
        while True:
            try:
                # A loop would hold a tile's logits while the next is computed.
                yield from map(partial(self._taken, source), self._present.stream(source))
            except MachineError as error:
                if source.failed:
                    raise
                reason = str(error)
            else:
                return
            # Outside `except`, so that no traceback keeps the engine alive: two may not fit into memory.
            self._engine = None
            self._ladder.drop_first(MachineError(reason))
            self._engine = self._ladder.load_first(self._files)
            source.rewind()

    def _taken(self, source: "_Source", logits: Array) -> Array:
        source.drop_oldest()
        self._ladder.log_once(self.info)
        return logits

    def _fitting(self, tile: Array) -> Array:
        expected, found = list(self.tile_shape), [1, *tile.shape]
        if found == expected:
            return tile
        raise ModelError(
            f"{self._files}: takes tiles of shape {expected}, found {found} as model.json wants it; export "
            "the checkpoint again"
        )

    @property
    def _present(self) -> Engine:
        if self._engine is None:
            raise MachineError(f"{self._files}: no engine is left to run it; the log has the reasons")
        return self._engine


class _Source:
    """An iterator of tiles that keeps those whose logits have not come back, and can give them again."""

    def __init__(self, tiles: Iterator[Array]) -> None:
        self._tiles = tiles
        self._owed: deque[Array] = deque()
        self._again: deque[Array] = deque()
        self.failed = False
        """Whether the tiles themselves raised an error, which is no engine's."""

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> Array:
        tile = self._again.popleft() if self._again else self._next()
        self._owed.append(tile)
        return tile

    def drop_oldest(self) -> None:
        """Forget the tile that was given first: its logits are there."""
        self._owed.popleft()

    def rewind(self) -> None:
        """Give the tiles that are kept once more, before any other."""
        self._again.extendleft(reversed(self._owed))
        self._owed.clear()

    def _next(self) -> Array:
        try:
            return next(self._tiles)
        except StopIteration:
            raise
        except Exception:
            # The error itself is not kept: by its traceback, it would keep the engine alive.
            self.failed = True
            raise


def make_engine(onnx: Path, *, engine: EngineName = "auto", precision: Precision = "float32") -> TriedEngine:
    """Load one ONNX file on a new ladder; raises as `Ladder` and `Ladder.load` do."""
    return Ladder(engine, precision).load(NetworkFiles(onnx))


def make_cpu_engine(onnx: Path) -> TriedEngine:
    """Load one ONNX file on the fastest CPU engine, in float32; raises as `Ladder.load` does."""
    return Ladder(devices=CPU).load(NetworkFiles(onnx))


def rungs(engine: EngineName, precision: Precision) -> list[Rung]:
    """Return the rungs in the order of trial; raises as `Ladder` does."""
    if engine == "auto":
        return [Rung(name, p) for name in MODULES for p in _precisions(name, precision)]
    if precision in (own := _precisions(engine, precision)) or own == COMPILED:
        return [Rung(engine, own[0])]
    able = " or ".join(name for name in MODULES if precision in backend(name).PRECISIONS)
    raise MachineError(f"engine {engine} does not compute in {precision}; {precision} needs --engine {able}")


def _precisions(name: EngineName, chosen: Precision) -> tuple[EnginePrecision, ...]:
    """Return the backend's precisions in the order of trial, none finer than the one that was chosen."""
    able = backend(name).PRECISIONS
    if able == COMPILED:
        return able
    return tuple(p for p in PRECISIONS[PRECISIONS.index(chosen) :: -1] if p in able)


def backend(name: EngineName) -> Backend:
    """Import the module of a backend; the packages it needs are imported when it loads a network."""
    return cast(Backend, import_module(f"{__package__}.{MODULES[name]}"))


def _load(rung: Rung, files: NetworkFiles) -> Engine:
    module = backend(rung.name)
    if reason := module.missing(rung.precision):
        raise EngineMissingError(f"{rung}: {reason}")
    try:
        return module.load(files, rung.precision)
    except (ImportError, OSError) as error:
        # The package is installed but cannot be imported: a shared library or memory is missing.
        raise fails_to_load(rung.name, files, error) from error
