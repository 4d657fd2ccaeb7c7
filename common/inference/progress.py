"""How far a prediction is: a bar on a terminal, a line per tenth in a log."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

BAR_WIDTH = 40


class Progress:
    """Counts steps of equal work; a context manager, so that the bar's line is always ended.

    The work began at `start`, on `time.monotonic`'s clock, or begins now.
    """

    def __init__(self, total: int, unit: str, start: float | None = None) -> None:
        self.total = total
        self.unit = unit
        self._done = 0
        self._tenths = 0
        self._start = time.monotonic() if start is None else start
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._done:
            sys.stderr.write("\n")

    def step(self) -> None:
        """Count one step, and show it where that is due."""
        self._done += 1
        tenths = 10 * self._done // self.total
        if self._terminal:
            filled = BAR_WIDTH * self._done // self.total
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            sys.stderr.write(
                f"\r[{bar}] {self._done}/{self.total} {self.unit}, {self._remaining():.0f} s left "
            )
            sys.stderr.flush()
        elif tenths > self._tenths:
            logger.info("%d of %d %s, %.0f s left", self._done, self.total, self.unit, self._remaining())
        self._tenths = tenths

    def _remaining(self) -> float:
        return (time.monotonic() - self._start) / self._done * (self.total - self._done)
