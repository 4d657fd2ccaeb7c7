"""What the user may choose about a run."""

from dataclasses import dataclass
from typing import Literal, get_args

EngineName = Literal["auto", "cpu", "openvino", "cuda"]
Precision = Literal["float32", "bfloat16"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Options:
    """Engine, precision, and the time that prediction may take."""

    engine: EngineName = "auto"
    precision: Precision = "float32"
    deadline: float | None = None
    """When the mask must be there, on `time.monotonic`'s clock; `None`: no limit."""
