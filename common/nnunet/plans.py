"""The numbers of an nnU-Net plan that inference needs, one type for both generations.

`Plans` is plain data: it goes into `model.json` and comes back without a pickle.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Scheme = Literal["ct", "ct2", "z_score", "none", "rescale_0_1", "rgb_0_1"]


@dataclass(frozen=True)
class Statistics:
    """Intensities of the training set's foreground, in the image's own unit (HU, SUV)."""

    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


@dataclass(frozen=True)
class Channel:
    """One image channel and how its intensities are normalised."""

    name: str
    scheme: Scheme
    use_mask: bool = False
    """Take mean and spread over the non-zero region only, and leave the rest at zero."""
    statistics: Statistics | None = None
    """Needed by `ct` and `ct2` (the percentiles), ignored by the others."""


@dataclass(frozen=True)
class Resampling:
    """How volumes are brought from one spacing to another."""

    order: int
    """Spline order in plane."""
    order_z: int = 0
    """Spline order across the coarse axis, where that axis is resampled separately."""
    force_separate_z: bool | None = None
    """`None`: separately where one spacing is more than three times another."""


@dataclass(frozen=True)
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
    channels: tuple[Channel, ...]
    resample_data: Resampling
    resample_prediction: Resampling

    @property
    def transpose_backward(self) -> tuple[int, int, int]:
        """The permutation that undoes `transpose_forward`."""
        forward = self.transpose_forward
        return forward.index(0), forward.index(1), forward.index(2)

    def to_json(self) -> dict[str, Any]:
        """Plain containers and numbers, as `model.json` holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Plans":
        """The inverse of `to_json`, also after a trip through a JSON file."""
        channels = tuple(
            Channel(
                **{**channel, "statistics": channel["statistics"] and Statistics(**channel["statistics"])}
            )
            for channel in document["channels"]
        )
        return cls(
            generation=document["generation"],
            patch=tuple(document["patch"]),
            spacing=tuple(document["spacing"]),
            transpose_forward=tuple(document["transpose_forward"]),
            channels=channels,
            resample_data=Resampling(**document["resample_data"]),
            resample_prediction=Resampling(**document["resample_prediction"]),
        )
