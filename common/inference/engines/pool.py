"""The engines of one process: loaded when asked for, and kept for the next case in a warm process."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from common.errors import MachineError
from common.inference.engines import EngineName, Precision
from common.inference.engines.contract import Array, EngineInfo
from common.inference.engines.ladder import Ladder, TriedEngine
from common.inference.engines.worker import Closable, Worker
from common.inference.files import NetworkFiles
from common.memory import MARGIN, available_memory

logger = logging.getLogger(__name__)


class EnginePool:
    """Engines by network and fold, each network with a ladder of its own.

    Parameters
    ----------
    engine, precision
        As in `Ladder`.
    keep
        Whether engines stay when another is loaded and when a case is done, as far as memory allows; else one
        is held at a time, and none between cases.

    """

    def __init__(
        self, engine: EngineName = "auto", precision: Precision = "float32", *, keep: bool = False
    ) -> None:
        self.engine, self.precision = engine, precision
        self._keep = keep
        self._worker = Worker()
        self._ladders: dict[str, Ladder] = {}
        self._held: dict[NetworkFiles, TriedEngine] = {}
        """Engines; the one that was used last comes last."""
        self._used: Ladder | None = None

    def load(
        self, network: str, files: NetworkFiles, memory: int = 0, deadline: float | None = None
    ) -> "PooledEngine":
        """The engine of one fold of the network of that name, which takes so many bytes of memory.

        Raises as `Ladder.load`, and `OutOfTimeError` at the deadline, on `time.monotonic`'s clock; so do the
        engine's streams.
        """
        worker = self._free_worker()
        if network not in self._ladders:
            self._ladders[network] = Ladder(self.engine, self.precision)
        self._used = ladder = self._ladders[network]
        engine = self._held.pop(files, None)
        if engine is None:
            self._make_room(memory)
            engine = worker.call(lambda: ladder.load(files), deadline)
        self._held[files] = engine
        return PooledEngine(worker, engine, deadline)

    @property
    def is_empty(self) -> bool:
        """Whether no engine is there."""
        return not self._held

    def holds(self, files: NetworkFiles) -> bool:
        """Whether the engine of that fold is there."""
        return files in self._held

    @contextmanager
    def at_work(self) -> Iterator["EnginePool"]:
        """For the time of one network's work: engines that are not kept are gone afterwards."""
        try:
            yield self
        finally:
            if not self._keep:
                self.release()

    def release(self, memory: int | None = None) -> None:
        """Let engines go, the longest unused first, until so many bytes are free; or all of them."""
        while self._held and (memory is None or available_memory() - MARGIN < memory):
            engine = [self._held.pop(next(iter(self._held)))]
            if not self._worker.is_busy:
                self._worker.call(engine.clear)  # a GPU's memory is given back by the thread that took it

    def _make_room(self, memory: int) -> None:
        self.release(memory if self._keep else None)

    def _free_worker(self) -> Worker:
        """The thread, or another where it does not come back; what it holds is lost then."""
        if self._worker.is_busy:
            logger.warning("an engine still has not answered and is given up")
            self._held.clear()
            if self._used is not None:
                with suppress(MachineError):  # the last rung is tried again
                    self._used.drop_first(MachineError("the engine did not answer"))
            self._worker = Worker()
        return self._worker


class PooledEngine:
    """An engine in the pool's thread."""

    def __init__(self, worker: Worker, engine: TriedEngine, deadline: float | None) -> None:
        self._worker = worker
        self._engine = engine
        self._deadline = deadline

    @property
    def info(self) -> EngineInfo:
        """Description of the engine in use, for the log."""
        return self._engine.info

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Shape of one tile, (1, C, [Z,] Y, X)."""
        return self._engine.tile_shape

    @property
    def parts(self) -> tuple[Worker, TriedEngine, float | None]:
        """What it was made of, for another in its place."""
        return self._worker, self._engine, self._deadline

    def stream(self, tiles: Iterable[Array]) -> Closable[Array]:
        """The logits (K, [Z,] Y, X) of every tile (C, [Z,] Y, X), in order.

        The tiles are taken by the pool's thread. Raises as `TriedEngine.stream`, and `OutOfTimeError`.
        """
        return self._worker.iterate(self._engine.stream(tiles), self._deadline)
