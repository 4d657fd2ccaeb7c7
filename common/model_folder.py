"""The model folder: `model.json` and the networks it names, refused when a hash does not fit.

The folder is what the platform mounts at `/opt/ml/model`. It holds JSON and ONNX, never a pickle.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.nnunet.plans import Plans

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime's logits are from torch's on random tiles."""

    max_difference: float
    spread: float
    """Standard deviation of torch's logits."""


@dataclass(frozen=True)
class Fold:
    """One trained network's file."""

    name: str
    """nnU-Net's name of the fold: `"0"`, `"1"`, …, `"all"`."""
    path: Path
    sha256: str
    parity: Parity


@dataclass(frozen=True)
class Network:
    """One network of the algorithm, trained once per fold."""

    name: str
    """What it is for: `"segmentation"`, `"localisation"`."""
    channels: tuple[str, ...]
    patch: tuple[int, ...]
    """Voxels of one tile, (z, y, x), or (row, column) for a 2D network."""
    classes: int
    mirror_axes: tuple[int, ...]
    """Array axes of the tile along which the training allows mirroring."""
    folds: tuple[Fold, ...]
    tile_memory: int
    """Bytes that one tile of one fold takes, measured with the default CPU engine."""
    plans: Plans | None = None


@dataclass(frozen=True)
class Model:
    """A model folder whose hashes have been checked."""

    algorithm: str
    networks: tuple[Network, ...]
    source_sha256: str
    """Hash over the checkpoint files that the folder was made from."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The algorithm's own numbers, such as the width of a click."""

    def network(self, name: str) -> Network:
        """The network of that name; `KeyError` is a bug of the caller's."""
        return {network.name: network for network in self.networks}[name]
