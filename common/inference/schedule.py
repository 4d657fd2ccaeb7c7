"""Which tile goes through which fold and mirroring next, so that there is a mask whenever the time is up.

While everything fits into the time that is left, the order is that without a limit: fold by fold, tile by
tile, all mirrorings of a tile together. As soon as it does not fit, every tile goes through one fold
unmirrored first; then further folds follow, and mirrorings after them. Tiles without tissue are the last of
each pass.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError
from common.inference.tiles import TileGrid

logger = logging.getLogger(__name__)

Mirroring = tuple[int, ...]
"""Tile axes (0, 1, 2) that are flipped together."""
Done = NDArray[np.bool_]
"""Runs of the network that are in the sums, (folds, mirrorings, tiles); mirroring 0 is none."""
T = TypeVar("T")

TIME_RESERVE = 0.1
"""Fraction of the time left that is kept for what follows the last tile."""
RECENT = 5
"""Tiles whose mean time is expected of those to come."""
STEP_GROWTH = 0.05
"""How much the distance between tiles grows at a time, in tiles, where one pass does not fit."""


def all_mirrorings(axes: tuple[int, ...]) -> tuple[Mirroring, ...]:
    """Every subset of the mirror axes; the empty one comes first."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(axes, size))


def last_moment(deadline: float | None) -> float | None:
    """When work on tiles must end, so that the mask is there at the deadline."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + (deadline - now) * (1 - TIME_RESERVE if deadline > now else 1)


def timed(results: Iterable[T]) -> tuple[list[T], float]:
    """All results, and the seconds that the last took.

    At least two are of use: at the first, an engine lays out its memory, or fails.
    """
    there: list[T] = []
    moments = [time.monotonic()]
    for result in results:
        there.append(result)
        moments.append(time.monotonic())
    return there, moments[-1] - moments[-2]


def require_time(what: str, needed: float, until: float) -> None:
    """Raise `MachineError` where something takes more seconds than are left."""
    left = max(0.0, until - time.monotonic())
    if needed > left:
        raise MachineError(
            f"{what} takes about {needed:.0f} s, {left:.0f} s are left of the time limit; use a faster "
            "machine or a longer --time-limit"
        )


def fitting_grid(grid: TileGrid, per_tile: float, until: float) -> TileGrid:
    """The grid, or one of fewer tiles where one pass over its tiles takes longer than is left.

    Tiles lie further apart then, up to side by side. Raises `MachineError` when that does not suffice.
    """
    left = until - time.monotonic()
    wider = grid
    while len(wider) * per_tile > left and wider.step < 1:
        wider = TileGrid(grid.shape, grid.patch, min(1.0, round(wider.step + STEP_GROWTH, 9)))
    require_time(f"one pass over all tiles at step {wider.step:g}", len(wider) * per_tile, until)
    if wider is not grid:
        logger.warning(
            "the time limit allows %d tiles at step %g instead of %d at step %g",
            *(len(wider), wider.step, len(grid), grid.step),
        )
    return wider


@dataclass
class Pace:
    """How fast the machine works."""

    load: float = 0.0
    """Seconds that it takes until a fold's engine is there."""
    _runs: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def run(self) -> float:
        """Seconds that one run of the network takes; 0 before the first."""
        return sum(self._runs) / max(1, len(self._runs))

    def ran(self, seconds: float, runs: int = 1) -> None:
        """Note that so many runs took so long."""
        self._runs.append(seconds / runs)


@dataclass(frozen=True)
class Visit:
    """Work with one fold's engine: each of some tiles, in each of some mirrorings."""

    fold: int
    mirrorings: tuple[int, ...]
    tiles: tuple[int, ...]


class Schedule:
    """The order of work on the tiles of one band, from what is done and how much time is left."""

    def __init__(
        self,
        done: Done,
        tissue: NDArray[np.bool_],
        pace: Pace,
        until: float | None = None,
        folds: Sequence[int] | None = None,
    ) -> None:
        """Start with `done`, which is kept up to date.

        `tissue` says for each tile whether there is any, `until` when work must end on `time.monotonic`'s
        clock, `folds` the order of the folds.
        """
        self._done = done
        self._by_value = np.argsort(~tissue, kind="stable")
        self._pace = pace
        self._until = until
        self._folds = list(range(len(done)) if folds is None else folds)
        self._is_whole = True
        """Whether everything is still expected to fit."""

    def next_visit(self, loaded: int | None) -> Visit | None:
        """What to do next, with `loaded` the fold whose engine is there; `None` at the end."""
        if self.is_whole(loaded):
            fold = next((fold for fold in self._folds if not self._done[fold].all()), None)
            mirrorings, tiles = range(self._done.shape[1]), range(self._done.shape[2])
            return None if fold is None else Visit(fold, tuple(mirrorings), tuple(tiles))
        folds = sorted(self._folds, key=lambda fold: fold != loaded)
        folds = [fold for fold in folds if self._is_time_for(fold, loaded)]
        return self._first_pass(folds) or self._unmirrored(folds) or self._mirrored(folds)

    def is_whole(self, loaded: int | None) -> bool:
        """Whether everything fits, or has fitted so far; once it does not, it never does again."""
        if self._until is not None and self._is_whole:
            left = int(self._done.size - np.count_nonzero(self._done))
            loads = sum(fold != loaded and not self._done[fold].all() for fold in self._folds)
            self._is_whole = left * self._pace.run + loads * self._pace.load <= self._left()
        return self._is_whole

    def goes_on(self, visit: Visit, was_whole: bool) -> bool:
        """Whether the visit's next tile is still what to do."""
        if self._until is None:
            return True
        if was_whole:
            return self.is_whole(visit.fold)
        return len(visit.mirrorings) * self._pace.run <= self._left()

    def record(self, visit: Visit, tile: int, seconds: float, runs: int) -> None:
        """Note that a tile is in the sums, in every mirroring of the visit, which took so many runs."""
        self._done[visit.fold, list(visit.mirrorings), tile] = True
        if runs:
            self._pace.ran(seconds, runs)

    def _left(self) -> float:
        return np.inf if self._until is None else self._until - time.monotonic()

    def _is_time_for(self, fold: int, loaded: int | None) -> bool:
        """Another fold's engine is loaded where as much time is left for its work as that takes."""
        return self._pace.run + (fold != loaded) * 2 * self._pace.load <= self._left()

    def _first_pass(self, folds: Sequence[int]) -> Visit | None:
        """Tiles that no fold has seen."""
        unseen = np.logical_not(self._done.any(axis=(0, 1)))
        return self._visit(folds[0], (0,), unseen) if folds and unseen.any() else None

    def _unmirrored(self, folds: Sequence[int]) -> Visit | None:
        return next(
            (self._visit(f, (0,), ~self._done[f, 0]) for f in folds if not self._done[f, 0].all()), None
        )

    def _mirrored(self, folds: Sequence[int]) -> Visit | None:
        """As many mirrorings of the fold with the fewest as every fold has time for, at least one."""
        left = [fold for fold in folds if not self._done[fold].all()]
        if not left:
            return None
        fold = min(left, key=lambda fold: np.count_nonzero(self._done[fold]))
        undone = ~self._done[fold, self._first_undone(fold)]
        alike = [m for m, done in enumerate(self._done[fold]) if (done != undone).all()]
        one_each = self._pace.run * self._done.shape[2] * len(self._folds)
        together = max(1, int(self._left() / one_each))
        return self._visit(fold, tuple(alike[:together]), undone)

    def _first_undone(self, fold: int) -> int:
        return int(np.argmin(self._done[fold].all(axis=1)))

    def _visit(self, fold: int, mirrorings: tuple[int, ...], tiles: NDArray[np.bool_]) -> Visit:
        return Visit(fold, mirrorings, tuple(int(tile) for tile in self._by_value if tiles[tile]))


def describe_left_out(done: Done, seconds: float) -> str:
    """What is missing in the sums, in one line; empty when nothing is."""
    if done.all():
        return ""
    folds, mirrorings, tiles = done.shape
    whole = int(np.count_nonzero(done[:, 0].all(axis=1)))
    line = f"the time limit left out work: {whole} of {folds} folds saw every tile"
    if mirrorings > 1:
        mirrored = int(np.count_nonzero(done[:, 1:].any(axis=(0, 1))))
        line += f", {mirrored} of {tiles} tiles were mirrored"
    minutes, rest = divmod(round(seconds), 60)
    line += f"; {done.mean():.0%} of the work in {minutes} min {rest} s"
    if unseen := int(np.count_nonzero(~done.any(axis=(0, 1)))):
        line += f"; {unseen} tiles were not seen at all, the mask may be empty there"
    return line
