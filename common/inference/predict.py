"""One network over one volume: folds × tiles × mirrorings on one engine.

Of two classes only their difference is carried: half the memory, and the same mask. Sums are
float32; they take one volume, however many folds, tiles and mirrorings there are.
Source: nnunetv2/inference/predict_from_raw_data.py.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.errors import ModelError
from common.inference.engines.contract import Engine
from common.inference.engines.ladder import Ladder
from common.inference.network import Fold, Network
from common.inference.options import Options
from common.inference.progress import Progress
from common.inference.schedule import Mirroring, Passes, within_time
from common.inference.tiles import TileGrid
from common.inference.volume import Volume
from common.nnunet.resample import Shape

logger = logging.getLogger(__name__)

Foreground = Literal["logit", "probability"]
"""What is averaged: the foreground's logit less the background's, or the foreground's softmax."""

Tile = NDArray[np.float32]

TIME_RESERVE = 0.1
"""Fraction of the time left that is kept for what follows the last tile."""


def predict(
    volume: Volume, network: Network, options: Options, foreground: Foreground = "logit"
) -> NDArray[np.float32]:
    """The foreground's mean logit difference or probability, (z, y, x) in network space.

    Raises `MachineError` when the time does not suffice, before the work starts, and `ModelError` for a
    network outside nnU-Net's recipe or a file that does not fit it.
    """
    grid = TileGrid(volume.shape, network.nnunet_plans.patch, options.step)
    folds = chosen_folds(network, options)
    axes = network.mirror_axes if options.mirroring else ()
    passes = Passes.of(len(folds), axes)
    total = np.zeros(grid.padded_shape, np.float32)
    ladder = Ladder(options.engine, options.precision)
    work = _Work(volume, grid, grid.weights(), FOREGROUND[foreground], total)
    began, done = time.monotonic(), 0
    for number, fold in enumerate(folds):
        if number == passes.folds or _is_too_late(options.deadline, began, number):
            break
        start = time.monotonic()
        engine = ladder.load(fold.path)
        first: dict[Shape, Tile] = {}
        loaded = time.monotonic()
        if number == 0 and options.deadline is not None:
            first, per_tile = work.time_tiles(engine)
            left = (options.deadline - time.monotonic()) * (1 - TIME_RESERVE)
            passes = within_time(len(folds), axes, per_tile * len(grid), left, loaded - start)
        work.add_fold(engine, fold.name, passes.mirrorings, first, loaded)
        del engine  # before the next is loaded: two may be more than the memory holds
        done += len(passes.mirrorings)
    return grid.normalise(total, done)


def chosen_folds(network: Network, options: Options) -> tuple[Fold, ...]:
    """The folds to average, in the model's order; `ModelError` where the network has none of them."""
    chosen = [fold for fold in network.folds if options.folds is None or fold.name in options.folds]
    if not chosen:
        raise ModelError(
            f"network {network.name} has the folds {', '.join(fold.name for fold in network.folds)}, found "
            f"--folds {','.join(options.folds or ())}; choose among those"
        )
    return tuple(chosen)


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


def _difference(logits: Tile) -> Tile:
    return np.subtract(logits[1], logits[0], out=logits[0])


def _softmax(logits: Tile) -> Tile:
    return np.asarray(expit(_difference(logits)))


FOREGROUND: dict[Foreground, Callable[[Tile], Tile]] = {"logit": _difference, "probability": _softmax}


@dataclass(frozen=True)
class _Work:
    """What all folds have in common."""

    volume: Volume
    grid: TileGrid
    weights: NDArray[np.float32]
    """Of a tile's voxels."""
    foreground: Callable[[Tile], Tile]
    total: NDArray[np.float32]
    """The weighted sum over tiles, on the padded volume."""

    def add_fold(
        self,
        engine: Engine,
        name: str,
        mirrorings: tuple[Mirroring, ...],
        first: dict[Shape, Tile],
        start: float,
    ) -> None:
        """Add all tiles of one fold; since `start`, some have been found unflipped, in `first`."""
        with Progress(len(self.grid) * len(mirrorings), f"tiles of fold {name}", start) as progress:
            for place, tile in _read_ahead(self.volume, self.grid):
                summed = self._mirrored(engine, tile, mirrorings, first.pop(place, None), progress)
                # Slice by slice, so that the products stay in the processor's cache.
                window = self.total[self.grid.window(place)]
                for sum_, part, weight in zip(window, summed, self.weights, strict=True):
                    sum_ += part * weight

    def time_tiles(self, engine: Engine) -> tuple[dict[Shape, Tile], float]:
        """The first two tiles' foregrounds, unflipped, and the seconds that the second took.

        On the first, engines lay out their memory, or fail. A single tile is run twice.
        """
        tiles = list(islice(_read_ahead(self.volume, self.grid), 2))
        known = {}
        for place, tile in (tiles[0], tiles[-1]):
            start = time.monotonic()
            known[place] = self._flipped(engine, tile, ())
        return known, time.monotonic() - start

    def _mirrored(
        self,
        engine: Engine,
        tile: Tile,
        mirrorings: tuple[Mirroring, ...],
        unflipped: Tile | None,
        progress: Progress,
    ) -> Tile:
        """The sum over mirrorings of one tile's foreground (z, y, x), each flipped back."""
        total = self._flipped(engine, tile, ()) if unflipped is None else unflipped
        progress.step()
        for axes in mirrorings[1:]:
            total += self._flipped(engine, tile, axes)
            progress.step()
        return total

    def _flipped(self, engine: Engine, tile: Tile, axes: Mirroring) -> Tile:
        flipped = np.ascontiguousarray(np.flip(tile, tuple(axis + 1 for axis in axes)))
        return np.flip(self.foreground(engine.run(flipped[None])[0]), axes)


def _read_ahead(volume: Volume, grid: TileGrid) -> Iterator[tuple[Shape, Tile]]:
    """Every tile with its place; the next is read while the caller works on the present one."""

    def read(start: Shape) -> tuple[Shape, Tile]:
        a, b, c = (s - before for s, before in zip(start, grid.pad_before, strict=True))
        return start, volume.tile((a, b, c), grid.patch)

    with ThreadPoolExecutor(max_workers=1) as reader:
        starts = iter(grid)
        upcoming = reader.submit(read, next(starts))
        for start in starts:
            present, upcoming = upcoming, reader.submit(read, start)
            yield present.result()
        yield upcoming.result()
