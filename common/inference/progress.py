"""How far a prediction is: a bar on a terminal, a line per tenth in a log."""

import logging
import sys
import time
from typing import Self

from tqdm import tqdm

logger = logging.getLogger(__name__)

BAR = "[{bar:40}] {n}/{total} {unit}, {remaining_s:.0f} s left "


class Progress:
    """Counts steps of equal work; a context manager, so that the bar's line is always ended.

    The work began at `start`, on `time.monotonic`'s clock, or begins now.
    """

    def __init__(self, total: int, unit: str, start: float | None = None) -> None:
        self.total = total
        self.unit = unit
        self._done = 0
        self._start = time.monotonic() if start is None else start
        self._bar = self._make_bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self) -> None:
        """Count one step, and show it where that is due."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
        elif 10 * self._done // self.total > 10 * (self._done - 1) // self.total:
            left = (time.monotonic() - self._start) / self._done * (self.total - self._done)
            logger.info("%d of %d %s, %.0f s left", self._done, self.total, self.unit, left)

    def _make_bar(self) -> tqdm:
        # Nothing is shown before the first step; the time left comes from the mean since the start.
        bar = tqdm(
            total=self.total,
            unit=self.unit,
            bar_format=BAR,
            ascii=".#",
            smoothing=0,
            mininterval=0,
            delay=1e-9,
        )
        bar.start_t -= time.monotonic() - self._start
        bar.last_print_t = 0.0
        return bar
