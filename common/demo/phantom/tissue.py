"""A solid with what a scanner sees of it."""

from dataclasses import dataclass

from common.demo.phantom.solids import Solid


@dataclass(frozen=True)
class Tissue:
    """A solid of one kind of tissue; where two overlap, the later one in a list holds."""

    name: str
    shape: Solid
    hu: float
    suv: float
