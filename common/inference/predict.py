"""One network over one volume: folds × tiles × mirrorings on one engine.

Of two classes only their difference is carried: half the memory, and the same mask. Sums are
float32; they take one volume, however many folds, tiles and mirrorings there are.
Source: nnunetv2/inference/predict_from_raw_data.py.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from common.inference.engine import Engine, make_engine
from common.inference.options import Options
from common.inference.passes import Mirroring, Passes, within_time
from common.inference.progress import Progress
from common.model_folder import Network
from common.nnunet.resample import Shape
from common.nnunet.tiles import TileGrid
from common.nnunet.volume import Volume

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
    grid = TileGrid(volume.shape, network.nnunet_plans.patch)
    total = np.zeros(grid.padded_shape, np.float32)
    weights = grid.weights()
    passes = Passes.of(len(network.folds), network.mirror_axes)
    for number, fold in enumerate(network.folds):
        if number == passes.folds:
            break
        start = time.monotonic()
        engine = make_engine(fold.path, engine=options.engine, precision=options.precision)
        if number == 0:
            logger.info("%s", engine.info)
            if options.deadline is not None:
                per_engine = time.monotonic() - start
                passes = _passes_before(options.deadline, per_engine, engine, volume, grid, network)
        with Progress(len(grid) * len(passes.mirrorings), f"tiles of fold {fold.name}") as progress:
            for place, tile in _read_ahead(volume, grid):
                summed = _mirrored(engine, tile, passes.mirrorings, FOREGROUND[foreground], progress)
                # Slice by slice, so that the products stay in the processor's cache.
                for sum_, part, weight in zip(total[grid.window(place)], summed, weights, strict=True):
                    sum_ += part * weight
        del engine
    return grid.normalise(total, len(passes))


def _difference(logits: Tile) -> Tile:
    return np.subtract(logits[1], logits[0], out=logits[0])


def _softmax(logits: Tile) -> Tile:
    return np.asarray(expit(_difference(logits)))


FOREGROUND: dict[Foreground, Callable[[Tile], Tile]] = {"logit": _difference, "probability": _softmax}


def _mirrored(
    engine: Engine,
    tile: Tile,
    mirrorings: tuple[Mirroring, ...],
    foreground: Callable[[Tile], Tile],
    progress: Progress,
) -> Tile:
    """The sum over mirrorings of one tile's foreground (z, y, x), each flipped back."""
    predictions = (_flipped(engine, tile, axes, foreground) for axes in mirrorings)
    total = next(predictions)
    progress.step()
    for prediction in predictions:
        total += prediction
        progress.step()
    return total


def _flipped(engine: Engine, tile: Tile, axes: Mirroring, foreground: Callable[[Tile], Tile]) -> Tile:
    flipped = np.ascontiguousarray(np.flip(tile, tuple(axis + 1 for axis in axes)))
    return np.flip(foreground(engine.run(flipped[None])[0]), axes)


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


def _passes_before(
    deadline: float, per_engine: float, engine: Engine, volume: Volume, grid: TileGrid, network: Network
) -> Passes:
    """What fits into the time that is left, judged by one tile; the run before it warms the engine up."""
    _, tile = next(_read_ahead(volume, grid))
    engine.run(tile[None])
    start = time.monotonic()
    engine.run(tile[None])
    now = time.monotonic()
    left = (deadline - now) * (1 - TIME_RESERVE)
    per_pass = (now - start) * len(grid)
    return within_time(len(network.folds), network.mirror_axes, per_pass, left, per_engine)
