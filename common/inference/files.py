"""The files of one trained network: what engines load."""

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from common.documents import STRICT

Carrier = Literal["tensorrt_rtx", "tensorrt"]
"""Library that builds an engine file and alone can load it: TensorRT-RTX, or the full TensorRT."""


@dataclass(frozen=True, config=STRICT)
class EngineFile:
    """A network that was compiled for one kind of GPU."""

    path: Path
    """In `model.json`, relative to the folder."""
    carrier: Carrier
    version: str
    """Of the carrier; no other version loads the file."""
    target: str
    """Compute capability of the GPUs that it is for: `"7.5"`, or `"8.0+"` for that and every later one."""
    precision: Literal["float16"]
    batches: tuple[int, ...]
    """Numbers of tiles that it computes at once, one profile each, ascending; the first is 1."""
    activation_memory: int
    """Bytes of GPU memory that the largest batch takes beside weights, input and output."""
    sha256: str
    plugin: bool = False
    """Whether it calls the deformable convolution's own kernel."""


@dataclass(frozen=True, config=STRICT)
class KernelFile:
    """The deformable convolution's kernel, compiled for one compute capability (a cubin)."""

    path: Path
    """In `model.json`, relative to the folder."""
    capability: str
    """Such as `"7.5"`."""
    sha256: str


@dataclass(frozen=True)
class NetworkFiles:
    """Everything that the engines can load of one fold, as absolute paths."""

    onnx: Path | None
    """`None` for a model that was exported for GPUs only."""
    engines: tuple[EngineFile, ...] = ()
    kernels: tuple[KernelFile, ...] = ()

    @property
    def name(self) -> str:
        """Of the first file, without its folder."""
        return Path(str(self)).name

    def __str__(self) -> str:
        paths = [self.onnx] if self.onnx else [engine.path for engine in self.engines]
        return str(paths[0]) if paths else "a network without files"
