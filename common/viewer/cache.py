"""Engines that remember tiles, so that after another click only the tiles that it touches are computed.

A tile's logits depend on its voxels alone, click channels among them; so the same voxels have the same
logits, bit for bit, and a tile that no new click touches is not computed again.
"""

from collections.abc import Generator, Iterable
from hashlib import blake2b

import numpy as np

from common.inference.engines import EngineName, Precision
from common.inference.engines.contract import Array
from common.inference.engines.pool import EnginePool, PooledEngine
from common.inference.files import NetworkFiles


class Remembered:
    """Logits by fold and voxels, up to so many bytes; when that is full, nothing more is kept."""

    def __init__(self, max_bytes: int) -> None:
        self.computed = 0
        """Tiles computed since `count` was called."""
        self.reused = 0
        self._left = max_bytes
        self._logits: dict[bytes, Array] = {}

    def count(self) -> None:
        """Count from here on."""
        self.computed = self.reused = 0

    def get(self, key: bytes) -> Array | None:
        """A copy, which may be overwritten."""
        logits = self._logits.get(key)
        if logits is None:
            self.computed += 1
            return None
        self.reused += 1
        return logits.copy()

    def put(self, key: bytes, logits: Array) -> None:
        """Keep a copy where there is room."""
        if logits.nbytes <= self._left:
            self._left -= logits.nbytes
            self._logits[key] = logits.copy()


class RememberingPool(EnginePool):
    """Engines that stay, and remember tiles; `remembered` holds for one case."""

    def __init__(self, engine: EngineName, precision: Precision, max_bytes: int) -> None:
        super().__init__(engine, precision, keep=True)
        self.remembered = Remembered(max_bytes)

    def load(
        self, network: str, files: NetworkFiles, memory: int = 0, deadline: float | None = None
    ) -> PooledEngine:
        """As `EnginePool.load`."""
        return _RememberingEngine(super().load(network, files, memory, deadline), files.name, self.remembered)


class _RememberingEngine(PooledEngine):
    def __init__(self, engine: PooledEngine, name: str, remembered: Remembered) -> None:
        super().__init__(*engine.parts)
        self._name = name.encode()
        self._remembered = remembered

    def stream(self, tiles: Iterable[Array]) -> Generator[Array]:
        """As `PooledEngine.stream`; tile by tile."""
        for tile in tiles:
            key = blake2b(np.ascontiguousarray(tile).data, key=self._name[:64]).digest()
            logits = self._remembered.get(key)
            if logits is None:
                (logits,) = super().stream([tile])
                self._remembered.put(key, logits)
            yield logits
