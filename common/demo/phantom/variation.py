"""How one patient differs from the usual one."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.demo.phantom.solids import Point

T = TypeVar("T")
Corner = Point | NDArray[np.float64]


class Variation:
    """Draws of one seed, in plain floats."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def happens(self, probability: float) -> bool:
        """Tell, with that probability, yes."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """Draw any value of the range."""
        return float(self.rng.uniform(low, high))

    def about(self, value: float, spread: float = 0.08) -> float:
        """Vary a value by about that fraction."""
        return value * float(np.exp(spread * self.rng.standard_normal()))

    def one_of(self, choices: Sequence[T]) -> T:
        """Draw one of them, all equally likely."""
        return choices[int(self.rng.integers(len(choices)))]

    def near(self, point: Point, reach: Point | float = 4.0) -> Point:
        """Draw a point within `reach` mm along each axis."""
        return self.within(np.subtract(point, reach), np.add(point, reach))

    def within(self, lower: Corner, upper: Corner) -> Point:
        """Draw any point of the box between two corners."""
        z, y, x = self.rng.uniform(lower, upper).tolist()
        return z, y, x

    def sized(self, radii: Point) -> Point:
        """Vary three radii by the same fraction."""
        factor = self.about(1.0, 0.06)
        z, y, x = (factor * radius for radius in radii)
        return z, y, x
