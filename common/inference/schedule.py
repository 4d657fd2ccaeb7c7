"""Which folds and mirrorings every tile goes through: all, or as many as the time allows."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from common.errors import MachineError

logger = logging.getLogger(__name__)

Mirroring = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Passes:
    """The runs of the network that are averaged for one tile."""

    folds: int
    mirrorings: tuple[Mirroring, ...]
    """Tile axes (0, 1, 2) that are flipped together, one tuple per run; the unflipped comes first."""

    @classmethod
    def of(cls, folds: int, axes: tuple[int, ...]) -> "Passes":
        """Every fold with every subset of the mirror axes."""
        subsets = (subset for size in range(len(axes) + 1) for subset in combinations(axes, size))
        return cls(folds, tuple(subsets))

    def __len__(self) -> int:
        return self.folds * len(self.mirrorings)


def probe(calls: Sequence[Callable[[], T]]) -> tuple[list[T], float]:
    """What the calls give, one after the other, and the seconds that the last took.

    At least two calls are of use: in the first, an engine lays out its memory, or fails.
    """
    results: list[T] = []
    start = time.monotonic()
    for call in calls:
        start = time.monotonic()
        results.append(call())
    return results, time.monotonic() - start


def within_time(
    folds: int, axes: tuple[int, ...], per_pass: float, left: float, per_engine: float = 0
) -> Passes:
    """As many passes as fit into the seconds that are left, now that the first fold's engine is there.

    One pass over all tiles takes `per_pass`, every further fold's engine `per_engine`, in seconds. Of as
    many passes, those with more folds are taken; mirror axes are given up from the last.
    Raises `MachineError` when not even one pass fits.
    """
    choices = [Passes.of(some, axes[:kept]) for some in range(1, folds + 1) for kept in range(len(axes) + 1)]
    fitting = [
        passes for passes in choices if len(passes) * per_pass + (passes.folds - 1) * per_engine <= left
    ]
    if not fitting:
        raise MachineError(
            f"one pass over all tiles takes about {per_pass:.0f} s, {max(0.0, left):.0f} s are left of "
            "the time limit; use a faster machine, a wider --step or a longer --time-limit"
        )
    best = max(fitting, key=lambda passes: (len(passes), passes.folds))
    if len(best) < len(choices[-1]):
        logger.warning(
            "the time limit allows %d of %d folds with %d of %d mirrorings",
            best.folds,
            folds,
            len(best.mirrorings),
            len(choices[-1].mirrorings),
        )
    return best
