"""What the user may choose about a run."""

from dataclasses import dataclass, field

from common.inference.engines.pool import EnginePool

STEP = 0.5
"""nnU-Net's distance between neighbouring tiles, as a fraction of the tile."""


@dataclass(frozen=True)
class Options:
    """The engines, the passes to average, and the time that prediction may take."""

    engines: EnginePool = field(default_factory=EnginePool)
    deadline: float | None = None
    """When the mask must be there, on `time.monotonic`'s clock; `None`: no limit."""
    mirroring: bool = True
    """Run every tile mirrored, too, along the axes that the training allows."""
    folds: tuple[str, ...] | None = None
    """Names of the folds to average; `None`: all that the model has."""
    step: float = STEP
    """Distance between neighbouring tiles, as a fraction of the tile, above 0 and at most 1."""
