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
    time_limit: float | None = None
    """Seconds for the whole run, counted from the start of the process; `None`: no limit."""
