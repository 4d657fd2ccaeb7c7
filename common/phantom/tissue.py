"""A solid with what a scanner sees of it."""

from dataclasses import dataclass

from common.phantom.shapes import Shape


@dataclass(frozen=True)
class Tissue:
    """A solid of one kind of tissue; where two overlap, the later one in a list holds."""

    name: str
    shape: Shape
    hu: float
    suv: float
