"""Random variation between patients."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.demo.phantom.solids import Point
from common.geometry import triple

T = TypeVar("T")
Corner = Point | NDArray[np.float64]


class Variation:
    """Random samples of one generator, as plain floats; points are (z, y, x) in mm."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def happens(self, probability: float) -> bool:
        """Return `True` with the given probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """Sample uniformly from a range."""
        return float(self.rng.uniform(low, high))

    def about(self, value: float, sigma: float = 0.08) -> float:
        """Sample from the log-normal distribution with the median `value`; `sigma` is that of the log."""
        return value * float(np.exp(sigma * self.rng.standard_normal()))

    def one_of(self, choices: Sequence[T]) -> T:
        """Choose one, all with equal probability."""
        return choices[int(self.rng.integers(len(choices)))]

    def near(self, point: Point, reach: Point | float = 4.0) -> Point:
        """Sample a point at most `reach` mm away along each axis."""
        return self.within(np.subtract(point, reach), np.add(point, reach))

    def within(self, lower: Corner, upper: Corner) -> Point:
        """Sample uniformly from the box between two corners."""
        return triple(self.rng.uniform(lower, upper).tolist())

    def scaled(self, radii: Point) -> Point:
        """Scale three radii by one random factor."""
        factor = self.about(1.0, 0.06)
        return triple(factor * radius for radius in radii)
