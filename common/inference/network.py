"""A trained network as prediction takes it, and as a model folder describes it."""

from math import prod
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic.dataclasses import dataclass

from common.documents import STRICT
from common.errors import ModelError
from common.inference.files import EngineFile, KernelFile, NetworkFiles
from common.nnunet.plans import Plans

TILES_ON_THE_WAY = 4
"""To a GPU and back: two in buffers, one that is read, one that is summed up."""


@dataclass(frozen=True, config=STRICT)
class Parity:
    """How far an engine's logits are from torch's on random tiles."""

    max_difference: float
    standard_deviation: float = Field(validation_alias=AliasChoices("standard_deviation", "spread"))
    """Of torch's logits; folders of formats 1 and 2 call it `spread`."""
    relative_rms_difference: float | None = None
    """Root of the mean squared difference, as a fraction of the standard deviation; not in format 1."""
    changed_voxels: float | None = None
    """Fraction of the voxels that change class though the logits tell the two clearly apart."""


@dataclass(frozen=True, config=STRICT)
class Fold:
    """One trained network's files."""

    name: str
    """nnU-Net's name of the fold: `"0"`, `"1"`, …, `"all"`."""
    path: Path | None
    """The ONNX file; in `model.json`, relative to the folder. `None` in a folder for GPUs only."""
    parity: Parity
    sha256: str = ""
    """Hash of the ONNX file; `write_model` fills it in."""
    engines: tuple[EngineFile, ...] = ()
    """The same network, compiled for GPUs."""
    float16: Parity | None = None
    """Simulated rounding error of the compiled engines, which compute in float16."""


@dataclass(frozen=True, config=STRICT)
class Network:
    """One network of the algorithm, trained once per fold; `ValueError` for numbers that make no sense."""

    name: str
    """What it is for: `"segmentation"`, `"localisation"`."""
    channels: tuple[str, ...]
    patch: tuple[int, ...]
    """Voxels of one tile, (z, y, x), or (row, column) for a 2D network."""
    classes: int
    """Background included."""
    mirror_axes: tuple[int, ...]
    """Array axes of the tile along which the training allows mirroring."""
    folds: tuple[Fold, ...]
    tile_memory: int
    """Bytes that one tile of one fold takes, measured with the default CPU engine."""
    plans: Plans | None = None
    """`None` for a network outside nnU-Net's recipe."""
    kernels: tuple[KernelFile, ...] = ()
    """What its compiled engines call, where they use a kernel of this project."""

    def __post_init__(self) -> None:
        axes = range(len(self.patch))
        if len(axes) not in (2, 3) or min(self.patch) < 1:
            raise ValueError(f"found patch {self.patch}, expected two or three sizes of at least one voxel")
        if len(set(self.mirror_axes)) < len(self.mirror_axes) or not set(self.mirror_axes) <= set(axes):
            raise ValueError(f"found mirror axes {self.mirror_axes}, expected some of {tuple(axes)}")
        if self.tile_memory < 0:
            raise ValueError(f"found tile_memory {self.tile_memory}, expected a number of bytes")
        if self.plans is not None and self.plans.patch != self.patch:
            raise ValueError(f"found patch {self.patch}, expected {self.plans.patch} as in its plans")

    def files(self, fold: Fold) -> NetworkFiles:
        """What engines can load of a fold."""
        return NetworkFiles(fold.path, fold.engines, self.kernels)

    @property
    def host_tile_memory(self) -> int:
        """Bytes of the machine's memory that work on tiles takes.

        Without ONNX files no CPU computes: a few tiles and their logits are on their way to a GPU and back.
        """
        for_gpus_alone = self.folds and all(fold.path is None for fold in self.folds)
        if not for_gpus_alone:
            return self.tile_memory
        return 4 * TILES_ON_THE_WAY * prod(self.patch) * (len(self.channels) + self.classes)

    @property
    def nnunet_plans(self) -> Plans:
        """The plans of a network that nnU-Net's recipe prepares; `ModelError` if there are none."""
        if self.plans is None:
            raise ModelError(f"model.json: network {self.name} has no plans; export the checkpoint again")
        return self.plans
