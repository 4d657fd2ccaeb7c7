"""One network over one volume: folds × tiles × mirrorings on one engine.

A network of two classes carries only the difference of its logits: half the memory, and the same mask. One of
more classes carries every logit. Sums are float32. They take as many volumes, however many folds, tiles and
mirrorings there are; in bands of tiles, less than that.
Source: nnunetv2/inference/predict_from_raw_data.py.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.errors import ModelError
from common.geometry import triple
from common.inference.engines.contract import Engine
from common.inference.engines.ladder import Ladder
from common.inference.files import NetworkFiles
from common.inference.network import Fold, Network
from common.inference.options import Options
from common.inference.progress import Progress
from common.inference.schedule import Mirroring, Passes, probe, within_time
from common.inference.tiles import Band, TileGrid
from common.inference.volume import Volume
from common.nnunet.resample import Shape

logger = logging.getLogger(__name__)

Foreground = Literal["logit", "probability"]
"""What is averaged: the foreground's logit less the background's, or the foreground's softmax."""

Tile = NDArray[np.float32]
"""Channels of one tile, (C, z, y, x)."""
Carry = Callable[[Tile], Tile]
"""What is summed of a tile's logits (K, z, y, x): one channel or more; may overwrite them."""

TIME_RESERVE = 0.1
"""Fraction of the time left that is kept for what follows the last tile."""


def predict(
    volume: Volume, network: Network, options: Options, foreground: Foreground = "logit"
) -> NDArray[np.float32]:
    """The foreground's mean logit difference or probability, (z, y, x) in network space.

    Raises `MachineError` when the time does not suffice, before the work starts, and `ModelError` for a
    network of more than two classes, one outside nnU-Net's recipe, or a file that does not fit it.
    """
    if network.classes != 2:
        raise ModelError(
            f"network {network.name} has {network.classes} classes, expected 2 (background and foreground); "
            "export the checkpoint for an algorithm that takes several"
        )
    (slab,) = _slabs(volume, network, options, FOREGROUND[foreground], channels=1, rows=None)
    return slab[0]


def predict_classes(
    volume: Volume, network: Network, options: Options, rows: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """Every class's mean logit, (K, slices, y, x) in network space, slab by slab along the first axis.

    A slab holds until the next is asked for. With `rows`, so many rows of tiles are worked on at a time:
    their sums alone are held, and the engines of several folds are loaded once for each band of rows.
    Raises as `predict`, for any number of classes.
    """
    return _slabs(volume, network, options, _all_logits, channels=network.classes, rows=rows)


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


def _flip(tile: Tile, axes: Mirroring) -> Tile:
    """A view of the tile (C, z, y, x), flipped along some of z, y and x, which count from 0."""
    return np.flip(tile, tuple(axis + 1 for axis in axes))


FOREGROUND: dict[Foreground, Carry] = {"logit": _difference, "probability": _softmax}


def _slabs(
    volume: Volume, network: Network, options: Options, carry: Carry, channels: int, rows: int | None
) -> Iterator[NDArray[np.float32]]:
    grid = TileGrid(volume.shape, network.nnunet_plans.patch, options.step)
    bands = grid.bands(rows)
    folds = list(chosen_folds(network, options))
    axes = network.mirror_axes if options.mirroring else ()
    passes = Passes.of(len(folds), axes)
    depth = max(band.stop - band.first for band in bands)
    sums = np.zeros((channels, depth, *grid.padded_shape[1:]), np.float32)
    work = _Work(volume, grid, network, carry, sums)
    engines = _Engines(Ladder(options.engine, options.precision))
    known: dict[Shape, Tile] = {}
    for position, band in enumerate(bands):
        began, done = time.monotonic(), 0
        # Every other band goes through the folds backwards, so that the engine that is there is used first.
        used = folds[: passes.folds]
        for number, fold in enumerate(used[::-1] if position % 2 else folds):
            if number == passes.folds or (len(bands) == 1 and _is_too_late(options.deadline, began, number)):
                break
            start = time.monotonic()
            engine = engines.load(network.files(fold))
            loaded = time.monotonic()
            if number == 0 and position == 0 and options.deadline is not None:
                known, per_tile = work.time_tiles(engine)
                left = (options.deadline - time.monotonic()) * (1 - TIME_RESERVE)
                per_engine = (loaded - start) * len(bands)
                passes = within_time(len(folds), axes, per_tile * len(grid), left, per_engine)
            steps = len(grid.tiles(band)) * len(passes.mirrorings)
            with Progress(steps, _unit(fold, position, len(bands)), loaded) as progress:
                work.add(engine, band, passes.mirrorings, known if fold is folds[0] else {}, progress)
            del engine  # before the next is loaded: two may be more than the memory holds
            done += len(passes.mirrorings)
        yield work.finish(band, done)
        if band is not bands[-1]:
            band.drop_finished(sums)


def _unit(fold: Fold, position: int, bands: int) -> str:
    """What progress counts."""
    part = f", band {position + 1} of {bands}" if bands > 1 else ""
    return f"tiles of fold {fold.name}{part}"


def _is_too_late(deadline: float | None, began: float, folds: int) -> bool:
    """Whether a further fold, which takes as long as those before on average, would end after the deadline.

    Engines fail and machines slow down after the plan was made.
    """
    if deadline is None or folds == 0:
        return False
    now = time.monotonic()
    needed, left = (now - began) / folds, (deadline - now) * (1 - TIME_RESERVE)
    if needed > left:
        logger.warning(
            "the time limit ends the prediction after %d folds: one took %.0f s, %.0f s are left",
            *(folds, needed, max(0.0, left)),
        )
    return needed > left


class _Engines:
    """One engine at a time; the one that was loaded last stays until another is needed."""

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self._files: NetworkFiles | None = None
        self._engine: Engine | None = None

    def load(self, files: NetworkFiles) -> Engine:
        if self._engine is None or files != self._files:
            self._engine = None
            self._engine, self._files = self._ladder.load(files), files
        return self._engine


@dataclass(frozen=True)
class _Work:
    """What all folds have in common."""

    volume: Volume
    grid: TileGrid
    network: Network
    carry: Carry
    sums: NDArray[np.float32]
    """Weighted sums over tiles, (C, slices, y, x), of the padded volume from a band's first slice on."""

    def add(
        self,
        engine: Engine,
        band: Band,
        mirrorings: tuple[Mirroring, ...],
        known: dict[Shape, Tile],
        progress: Progress,
    ) -> None:
        """Add the band's tiles of one fold; some, `known`, have been computed unflipped."""
        weights = self.grid.weights()
        places = self.grid.tiles(band)
        logits = engine.stream(self._mirrored(places, mirrorings, frozenset(known)))
        for place in places:
            summed = self._summed(logits, mirrorings, known.pop(place, None), progress)
            # Slice by slice, so that the products stay in the processor's cache.
            for channel, parts in zip(self._window(place, band), summed, strict=True):
                for sum_, part, weight in zip(channel, parts, weights, strict=True):
                    sum_ += part * weight

    def finish(self, band: Band, passes: int) -> NDArray[np.float32]:
        """The means (C, slices, y, x) of the slices that no later band reaches, without padding."""
        return self.grid.normalise(self.sums[:, : band.finished - band.first], passes, band.first)

    def time_tiles(self, engine: Engine) -> tuple[dict[Shape, Tile], float]:
        """The first two tiles' channels, unflipped, and the seconds that the second took.

        A single tile is run twice.
        """
        tiles = list(self._read_ahead(list(islice(self.grid, 2))))
        (first, one), (last, other) = tiles[0], tiles[-1]
        channels, seconds = probe([partial(self._unflipped, engine, tile) for tile in (one, other)])
        return dict(zip((first, last), channels, strict=True)), seconds

    def _window(self, place: Shape, band: Band) -> NDArray[np.float32]:
        a, b, c = self.grid.window(place, band.first)
        return self.sums[:, a, b, c]

    def _mirrored(
        self, places: Sequence[Shape], mirrorings: tuple[Mirroring, ...], known: frozenset[Shape]
    ) -> Iterator[Tile]:
        """Every tile in every mirroring, as views; but for those that are known unflipped."""
        for place, tile in self._read_ahead(places):
            for axes in mirrorings:
                if axes or place not in known:
                    yield _flip(tile, axes)

    def _summed(
        self,
        logits: Iterator[Tile],
        mirrorings: tuple[Mirroring, ...],
        unflipped: Tile | None,
        progress: Progress,
    ) -> Tile:
        """The sum over mirrorings of what one tile carries, (C, z, y, x), each flipped back."""
        total = self._carried(next(logits)) if unflipped is None else unflipped
        progress.step()
        for axes in mirrorings[1:]:
            total += _flip(self._carried(next(logits)), axes)
            progress.step()
        return total

    def _unflipped(self, engine: Engine, tile: Tile) -> Tile:
        (logits,) = engine.stream([tile])
        return self._carried(logits)

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
            place = triple(s - before for s, before in zip(start, self.grid.pad_before, strict=True))
            return start, self.volume.tile(place, self.grid.patch)

        with ThreadPoolExecutor(max_workers=1) as reader:
            first, *others = starts
            upcoming = reader.submit(read, first)
            for start in others:
                present, upcoming = upcoming, reader.submit(read, start)
                yield present.result()
            yield upcoming.result()
