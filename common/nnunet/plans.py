"""The parts of nnU-Net's plans that inference needs, as one type for nnU-Net v1 and v2.

`Plans` is plain data that is written to `model.json` and read back without pickle. Invalid values raise
`ValueError`.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Literal

from pydantic.dataclasses import dataclass

from common.documents import STRICT

ORDERS = range(6)
"""Spline orders that SciPy supports."""

Scheme = Literal["ct", "ct2", "z_score", "none", "rescale_0_1", "rgb_0_1"]


@dataclass(frozen=True, config=STRICT)
class Statistics:
    """Foreground intensities of the training set, in the unit of the image (HU, SUV)."""

    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


@dataclass(frozen=True, config=STRICT)
class ChannelSpec:
    """One image channel and its intensity normalisation."""

    name: str
    scheme: Scheme
    use_mask: bool = False
    """Compute mean and standard deviation over the non-zero region only, and leave the rest at zero."""
    statistics: Statistics | None = None
    """Required by `ct` and by `ct2` (percentiles only), ignored by other schemes."""

    def __post_init__(self) -> None:
        if self.scheme in ("ct", "ct2") and self.statistics is None:
            raise ValueError(f"channel {self.name} of scheme {self.scheme} has no statistics")


@dataclass(frozen=True, config=STRICT)
class Resampling:
    """Interpolation between two voxel spacings."""

    order: int
    """Spline order in plane, and along all axes where none is resampled separately."""
    order_z: int = 0
    """Spline order along the axis of coarse spacing, where it is resampled separately."""
    force_separate_z: bool | None = None
    """Resample that axis separately; `None`: only if one spacing is more than 3 times another one."""

    def __post_init__(self) -> None:
        if self.order not in ORDERS or self.order_z not in ORDERS:
            raise ValueError(f"found spline orders {self.order} and {self.order_z}, expected 0 to 5")


@dataclass(frozen=True, config=STRICT)
class Plans:
    """One configuration of nnU-Net's plans.

    Axes are those of the network: (z, y, x) of the image, permuted by `transpose_forward`.
    """

    generation: Literal[1, 2]
    """Major version of nnU-Net."""
    patch: tuple[int, int, int]
    """Patch size in voxels."""
    spacing: tuple[float, float, float]
    """Voxel spacing in network space, in mm."""
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
        """Return a copy with other channel names, in channel order."""
        named = zip(self.channels, names, strict=True)
        return replace(self, channels=tuple(replace(channel, name=name) for channel, name in named))

    @property
    def transpose_backward(self) -> tuple[int, int, int]:
        """The inverse permutation of `transpose_forward`."""
        forward = self.transpose_forward
        return forward.index(0), forward.index(1), forward.index(2)
