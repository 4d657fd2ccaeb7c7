"""One fold's work on tiles: read, flipped, computed, flipped back, and reduced to what is summed."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.geometry import triple
from common.inference.engines.pool import PooledEngine
from common.inference.engines.worker import Closable
from common.inference.network import Network
from common.inference.progress import Progress
from common.inference.schedule import Mirroring, timed
from common.inference.tiles import TileGrid
from common.inference.volume import Volume
from common.nnunet.resample import Shape

Tile = NDArray[np.float32]
"""Channels of one tile, (C, z, y, x)."""
Carry = Callable[[Tile], Tile]
"""What is summed of a tile's logits (K, z, y, x): one channel or more; may overwrite them."""
Known = dict[Shape, Tile]
"""What is carried of tiles that were computed unflipped when they were timed, by the tile's first voxel."""


@dataclass(frozen=True)
class TileWork:
    """What all folds have in common."""

    volume: Volume
    grid: TileGrid
    network: Network
    carry: Carry

    def compute(
        self,
        engine: PooledEngine,
        places: Sequence[Shape],
        mirrorings: Sequence[Mirroring],
        known: Known,
        progress: Progress,
    ) -> Generator[Tile]:
        """The sum over mirrorings of what each tile carries, (C, z, y, x), in order; uses up `known`.

        Raises as `PooledEngine.stream`.
        """
        logits = engine.stream(self._mirrored(places, mirrorings, frozenset(known)))
        try:
            for place in places:
                yield self._summed(logits, mirrorings, known.pop(place, None), progress)
        finally:
            logits.close()

    def time_tiles(self, engine: PooledEngine) -> tuple[Known, float]:
        """What the first two tiles carry, unflipped, and the seconds that the second took.

        A single tile is run twice. Raises as `PooledEngine.stream`.
        """
        first, *others = islice(self.grid, 2)
        places = [first, *(others or [first])]
        logits = engine.stream(self._mirrored(places, [()], frozenset()))
        carried, seconds = timed(map(self._carried, logits))
        return dict(zip(places, carried, strict=True)), seconds

    def has_tissue(self, start: Shape) -> bool:
        """Whether the patient is in a tile, as far as the volume knows."""
        tissue = self.volume.tissue
        return tissue is None or tissue.is_in(self._in_volume(start), self.grid.patch)

    def _in_volume(self, start: Shape) -> Shape:
        return triple(s - before for s, before in zip(start, self.grid.pad_before, strict=True))

    def _mirrored(
        self, places: Sequence[Shape], mirrorings: Sequence[Mirroring], known: frozenset[Shape]
    ) -> Iterator[Tile]:
        """Every tile in every mirroring, as views; but for those that are known unflipped."""
        for place, tile in self._read_ahead(places):
            for axes in mirrorings:
                if axes or place not in known:
                    yield flip(tile, axes)

    def _summed(
        self,
        logits: Closable[Tile],
        mirrorings: Sequence[Mirroring],
        unflipped: Tile | None,
        progress: Progress,
    ) -> Tile:
        first, *others = mirrorings
        total = flip(self._carried(next(logits)), first) if unflipped is None else unflipped
        progress.step()
        for axes in others:
            total += flip(self._carried(next(logits)), axes)
            progress.step()
        return total

    def _carried(self, logits: Tile) -> Tile:
        if len(logits) != self.network.classes:
            raise ModelError(
                f"network {self.network.name} gives {len(logits)} classes, expected {self.network.classes} "
                "as in model.json; export the checkpoint again"
            )
        return self.carry(logits)

    def _read_ahead(self, starts: Sequence[Shape]) -> Iterator[tuple[Shape, Tile]]:
        """Every tile with its place; the next is read while the caller works on the present one."""

        def read(start: Shape) -> tuple[Shape, Tile]:
            return start, self.volume.tile(self._in_volume(start), self.grid.patch)

        with ThreadPoolExecutor(max_workers=1) as reader:
            first, *others = starts
            upcoming = reader.submit(read, first)
            for start in others:
                present, upcoming = upcoming, reader.submit(read, start)
                yield present.result()
            yield upcoming.result()


def flip(tile: Tile, axes: Mirroring) -> Tile:
    """A view of the tile (C, z, y, x), flipped along some of z, y and x, which count from 0."""
    return np.flip(tile, tuple(axis + 1 for axis in axes))
