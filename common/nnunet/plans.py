"""The numbers of an nnU-Net plan that inference needs, one type for both generations.

`Plans` is plain data: it goes into `model.json` and comes back without a pickle. Values that make no sense
are a `ValueError`.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Literal

from pydantic.dataclasses import dataclass

from common.documents import STRICT

ORDERS = range(6)
"""Orders of the splines that SciPy has."""

Scheme = Literal["ct", "ct2", "z_score", "none", "rescale_0_1", "rgb_0_1"]


@dataclass(frozen=True, config=STRICT)
class Statistics:
    """Intensities of the training set's foreground, in the image's own unit (HU, SUV)."""

    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


@dataclass(frozen=True, config=STRICT)
class ChannelSpec:
    """One image channel and how its intensities are normalised."""

    name: str
    scheme: Scheme
    use_mask: bool = False
    """Take mean and spread over the non-zero region only, and leave the rest at zero."""
    statistics: Statistics | None = None
    """Needed by `ct` and `ct2` (the percentiles), ignored by the others."""

    def __post_init__(self) -> None:
        if self.scheme in ("ct", "ct2") and self.statistics is None:
            raise ValueError(f"channel {self.name} of scheme {self.scheme} has no statistics")


@dataclass(frozen=True, config=STRICT)
class Resampling:
    """How volumes are brought from one spacing to another."""

    order: int
    """Spline order in plane."""
    order_z: int = 0
    """Spline order across the coarse axis, where that axis is resampled separately."""
    force_separate_z: bool | None = None
    """`None`: separately where one spacing is more than three times another."""

    def __post_init__(self) -> None:
        if self.order not in ORDERS or self.order_z not in ORDERS:
            raise ValueError(f"found spline orders {self.order} and {self.order_z}, expected 0 to 5")


@dataclass(frozen=True, config=STRICT)
class Plans:
    """One configuration of an nnU-Net plan.

    Axes are those of the network: the image's (z, y, x) permuted by `transpose_forward`.
    """

    generation: Literal[1, 2]
    patch: tuple[int, int, int]
    """Voxels of one tile."""
    spacing: tuple[float, float, float]
    """Voxel edges in network space, in mm."""
    transpose_forward: tuple[int, int, int]
    channels: tuple[ChannelSpec, ...]
    resample_data: Resampling
    resample_prediction: Resampling

    def __post_init__(self) -> None:
        if min(self.patch) < 1:
            raise ValueError(f"found patch {self.patch}, expected three sizes of at least one voxel")
        if not all(0 < edge < inf for edge in self.spacing):
            raise ValueError(f"found spacing {self.spacing}, expected three lengths in mm")
        if sorted(self.transpose_forward) != [0, 1, 2]:
            raise ValueError(
                f"found transpose_forward {self.transpose_forward}, expected a permutation of (0, 1, 2)"
            )
        if not self.channels:
            raise ValueError("found no channels, expected at least one")

    def with_names(self, names: Sequence[str]) -> "Plans":
        """The same plans with other names for the channels, in their order."""
        named = zip(self.channels, names, strict=True)
        return replace(self, channels=tuple(replace(channel, name=name) for channel, name in named))

    @property
    def transpose_backward(self) -> tuple[int, int, int]:
        """The permutation that undoes `transpose_forward`."""
        forward = self.transpose_forward
        return forward.index(0), forward.index(1), forward.index(2)
