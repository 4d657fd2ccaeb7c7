"""A solid with its CT number and tracer uptake."""

from dataclasses import dataclass

from common.demo.phantom.solids import Solid


@dataclass(frozen=True)
class Tissue:
    """A solid of one kind of tissue; where two overlap, the later one in a list covers the earlier one."""

    name: str
    shape: Solid
    hu: float
    """CT number."""
    suv: float
    """Tracer uptake, as body-weight SUV."""
