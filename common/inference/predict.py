"""One network over one volume: folds × tiles × mirrorings on one engine at a time, within the time limit.

A network of two classes carries only the difference of its logits: half the memory, and the same mask. One of
more classes carries every logit. Sums are float32. They take as many volumes, however many folds, tiles and
mirrorings there are; in bands of tiles, less than that. Work may end at any tile: the mean is over what is in
the sums then.
Source: nnunetv2/inference/predict_from_raw_data.py.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.errors import MachineError, ModelError
from common.inference.engines.pool import EnginePool, PooledEngine
from common.inference.engines.worker import OutOfTimeError
from common.inference.network import Fold, Network
from common.inference.options import Options
from common.inference.progress import Progress
from common.inference.schedule import (
    Done,
    Mirroring,
    Pace,
    Schedule,
    Visit,
    all_mirrorings,
    describe_left_out,
    fitting_grid,
    last_moment,
)
from common.inference.tile_work import Carry, Known, Tile, TileWork
from common.inference.tiles import Band, TileGrid, deepest
from common.inference.volume import Volume

logger = logging.getLogger(__name__)

Foreground = Literal["logit", "probability"]
"""What is averaged: the foreground's logit less the background's, or the foreground's softmax."""


def predict(
    volume: Volume, network: Network, options: Options, foreground: Foreground = "logit"
) -> NDArray[np.float32]:
    """The foreground's mean logit difference or probability, (z, y, x) in network space.

    Where the time limit binds, it is the mean over what was computed, and 0 where nothing was.
    Raises `MachineError` when not even one pass over all tiles fits into the time, before the work starts,
    and `ModelError` for a network of more than two classes, one outside nnU-Net's recipe, or a file that does
    not fit it.
    """
    (slab,) = predict_slabs(volume, network, options, foreground)
    return slab[0]


def predict_slabs(
    volume: Volume,
    network: Network,
    options: Options,
    foreground: Foreground = "logit",
    max_slices: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """As `predict`, (1, slices, y, x), slab by slab along the first axis.

    A slab holds until the next is asked for. With `max_slices`, the sums of so many slices are held at a
    time, or of one row of tiles if that is more; the engines of several folds are loaded once for each band.
    """
    if network.classes != 2:
        raise ModelError(
            f"network {network.name} has {network.classes} classes, expected 2 (background and foreground); "
            "export the checkpoint for an algorithm that takes several"
        )
    return _Prediction(volume, network, options, FOREGROUND[foreground], 1).slabs(max_slices)


def predict_classes(
    volume: Volume, network: Network, options: Options, max_slices: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """Every class's mean logit, (K, slices, y, x) in network space, as `predict_slabs`."""
    return _Prediction(volume, network, options, _all_logits, network.classes).slabs(max_slices)


def chosen_folds(network: Network, options: Options) -> tuple[Fold, ...]:
    """The folds to average, in the model's order; `ModelError` where the network has none of them."""
    chosen = [fold for fold in network.folds if options.folds is None or fold.name in options.folds]
    if not chosen:
        raise ModelError(
            f"network {network.name} has the folds {', '.join(fold.name for fold in network.folds)}, found "
            f"--folds {','.join(options.folds or ())}; choose among those"
        )
    return tuple(chosen)


def _difference(logits: Tile) -> Tile:
    return np.subtract(logits[1:], logits[:1], out=logits[:1])


def _softmax(logits: Tile) -> Tile:
    return np.asarray(expit(_difference(logits)))


def _all_logits(logits: Tile) -> Tile:
    return logits


FOREGROUND: dict[Foreground, Carry] = {"logit": _difference, "probability": _softmax}


class _Prediction:
    """One network's work on one volume."""

    def __init__(
        self, volume: Volume, network: Network, options: Options, carry: Carry, channels: int
    ) -> None:
        self._began = time.monotonic()
        self._until = last_moment(options.deadline)
        self._pool = options.engines
        self._folds = _Folds(self._pool, network, chosen_folds(network, options))
        self._mirrorings = all_mirrorings(network.mirror_axes if options.mirroring else ())
        grid = TileGrid(volume.shape, network.nnunet_plans.patch, options.step)
        self._work = TileWork(volume, grid, network, carry)
        self._known = Known()
        self._channels = channels

    def slabs(self, max_slices: int | None) -> Iterator[NDArray[np.float32]]:
        """The means (C, slices, y, x), slab by slab; a slab holds until the next is asked for."""
        with self._pool.at_work():
            if self._until is not None:
                self._fit_into_time(self._until)
            grid = self._work.grid
            done = np.zeros((len(self._folds), len(self._mirrorings), *map(len, grid.starts)), bool)
            bands = grid.bands(max_slices)
            sums = np.zeros((self._channels, deepest(bands), *grid.padded_shape[1:]), np.float32)
            row = 0
            for position, band in enumerate(bands):
                rows = slice(row, row + len(band.starts))
                self._work_off(bands, position, sums, done[:, :, rows].reshape(*done.shape[:2], -1))
                if band is bands[-1]:
                    self._report(done)
                finished = sums[:, : band.finished - band.first]
                yield grid.normalise(finished, done.sum(axis=(0, 1)), band.first)
                if band is not bands[-1]:
                    band.drop_finished(sums)
                row = rows.stop

    def _fit_into_time(self, until: float) -> None:
        """Time the first tiles, and take a grid of as many tiles as there is time for."""
        self._known, seconds = self._work.time_tiles(self._folds.load(0, until))
        self._folds.pace.ran(seconds)
        grid = fitting_grid(self._work.grid, seconds, until)
        if grid is not self._work.grid:
            self._work = TileWork(self._work.volume, grid, self._work.network, self._work.carry)

    def _work_off(self, bands: list[Band], position: int, sums: NDArray[np.float32], done: Done) -> None:
        """Add one band's tiles to the sums, as many as its share of the time allows."""
        band = bands[position]
        places = self._work.grid.tiles(band)
        tissue = np.array([self._work.has_tissue(place) for place in places])
        # Every other band goes through the folds backwards, so that the engine that is there is used first.
        order = range(len(self._folds))[:: -1 if position % 2 else 1]
        until = self._share_of_time(bands[position:])
        schedule = Schedule(done, tissue, self._folds.pace, until, order)
        adding = _Adding(self._work, band, sums, tuple(places), self._mirrorings, self._known)
        part = f", band {position + 1} of {len(bands)}" if len(bands) > 1 else ""
        try:
            while visit := schedule.next_visit(self._folds.loaded):
                engine = self._folds.load(visit.fold, until)
                unit = f"tiles of fold {self._folds.name(visit.fold)}{part}"
                adding.add(engine, visit, schedule, unit)
                del engine  # before the next is loaded: two may be more than the memory holds
        except OutOfTimeError as error:
            logger.warning("%s", error)

    def _share_of_time(self, bands: list[Band]) -> float | None:
        """Until when to work on the first of the bands that are left."""
        if self._until is None:
            return None
        now, tiles = time.monotonic(), [len(band.starts) for band in bands]
        return now + (self._until - now) * tiles[0] / sum(tiles)

    def _report(self, done: Done) -> None:
        """Say what was left out; raise `MachineError` where that is everything."""
        if not done.any():
            raise MachineError(
                "the time limit ended before any tile was done; use a faster machine or a longer --time-limit"
            )
        line = describe_left_out(done.reshape(*done.shape[:2], -1), time.monotonic() - self._began)
        if line:
            logger.warning("%s", line)


class _Folds:
    """The folds' engines, and how long they take."""

    def __init__(self, pool: EnginePool, network: Network, folds: tuple[Fold, ...]) -> None:
        self.pace = Pace()
        self.loaded: int | None = None
        """The fold whose engine is there."""
        self._pool = pool
        self._network = network
        self._folds = folds

    def __len__(self) -> int:
        return len(self._folds)

    def name(self, number: int) -> str:
        """nnU-Net's name of the fold."""
        return self._folds[number].name

    def load(self, number: int, until: float | None) -> PooledEngine:
        """A fold's engine, for work until then; raises as `EnginePool.load`."""
        start = time.monotonic()
        files = self._network.files(self._folds[number])
        engine = self._pool.load(self._network.name, files, self._network.host_tile_memory, until)
        if number != self.loaded:
            self.pace.load = time.monotonic() - start
        self.loaded = number
        return engine


@dataclass(frozen=True)
class _Adding:
    """Tiles of one band on their way into the sums."""

    work: TileWork
    band: Band
    sums: NDArray[np.float32]
    """Weighted sums over tiles, (C, slices, y, x), of the padded volume from the band's first slice on."""
    places: tuple[tuple[int, int, int], ...]
    mirrorings: tuple[Mirroring, ...]
    known: Known
    """What the first fold has computed already."""

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """How much each voxel of a tile counts."""
        return self.work.grid.weights()

    def add(self, engine: PooledEngine, visit: Visit, schedule: Schedule, unit: str) -> None:
        """Add a visit's tiles while the schedule wants them; raises `OutOfTimeError` when none comes."""
        was_whole = schedule.is_whole(visit.fold)
        places = [self.places[tile] for tile in visit.tiles]
        mirrorings = [self.mirrorings[number] for number in visit.mirrorings]
        known = self.known if visit.fold == 0 and 0 in visit.mirrorings else {}
        with Progress(len(places) * len(mirrorings), unit) as progress:
            tiles = self.work.compute(engine, places, mirrorings, known, progress)
            for tile, place in zip(visit.tiles, places, strict=True):
                if not schedule.goes_on(visit, was_whole):
                    break
                start, runs = time.monotonic(), len(mirrorings) - (place in known)
                self._add(next(tiles), place)
                schedule.record(visit, tile, time.monotonic() - start, runs)
            tiles.close()

    def _add(self, tile: Tile, place: tuple[int, int, int]) -> None:
        a, b, c = self.work.grid.window(place, self.band.first)
        # Slice by slice, so that the products stay in the processor's cache.
        for channel, parts in zip(self.sums[:, a, b, c], tile, strict=True):
            for sum_, part, weight in zip(channel, parts, self.weights, strict=True):
                sum_ += part * weight
