"""Protocols: an engine, as the rest of the package uses it, and a backend, as the ladder uses it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference.engines import Precision
from common.inference.files import NetworkFiles

Device = Literal["cpu", "gpu"]
DEVICES: tuple[Device, ...] = get_args(Device)
EnginePrecision = Literal["float16"] | Precision
"""What an engine computes in."""
Array = NDArray[np.float32]
"""A tile (C, [Z,] Y, X), or its logits (K, [Z,] Y, X)."""


class EngineMissingError(MachineError):
    """The machine lacks something that the engine needs: a package, a device, an instruction set."""


@dataclass(frozen=True)
class EngineInfo:
    """Description of an engine for the log."""

    name: str
    device: str
    precision: EnginePrecision
    version: str

    def __str__(self) -> str:
        return (
            f"engine: {self.name}, device: {self.device}, "
            f"precision: {self.precision}, version: {self.version}"
        )


class Engine(Protocol):
    """One network, loaded and ready to compute tiles on one device."""

    @property
    def info(self) -> EngineInfo:
        """Description for the log."""
        ...

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Shape of one tile, (1, C, [Z,] Y, X), the only one that the network accepts."""
        ...

    def stream(self, tiles: Iterable[Array]) -> Iterator[Array]:
        """Yield the logits (K, [Z,] Y, X) of every tile (C, [Z,] Y, X), in order, as new arrays.

        Tiles may be views of any memory layout. Some are taken before the logits of the first are given; how
        many is bounded, and known to the engine alone. Raises `MachineError` when the computation fails,
        usually because memory is too small.
        """
        ...


class TileByTile(ABC):
    """An engine that computes one tile at a time, while its caller waits."""

    @abstractmethod
    def compute(self, tile: Array) -> Array:
        """Return the logits (K, [Z,] Y, X) of a tile (C, [Z,] Y, X) as a new array."""

    def stream(self, tiles: Iterable[Array]) -> Iterator[Array]:
        """Yield the logits of every tile; each is taken when its logits are asked for."""
        return map(self.compute, tiles)


class Backend(Protocol):
    """A module of this package that loads networks with one runtime library onto one kind of device."""

    PACKAGES: tuple[str, ...]
    """Python packages that it needs."""
    DEVICE: Device
    """Kind of device that it computes on."""
    PRECISIONS: tuple[EnginePrecision, ...]
    """Precisions that it supports, on suitable hardware."""

    def missing(self, precision: EnginePrecision) -> str | None:
        """Return what this machine lacks to compute in that precision, `None` if nothing.

        Raises `MachineError` for a device that is there but cannot be used.
        """
        ...

    def load(self, files: NetworkFiles, precision: EnginePrecision) -> Engine:
        """Load a network from that of its files which the backend takes.

        Raises `ModelError` for a file that is not a valid network, `MachineError` for any other failure,
        `EngineMissingError` where there is no such file and nothing else is amiss.
        """
        ...


def onnx_of(files: NetworkFiles) -> Path:
    """Return the ONNX file; `EngineMissingError` where the model has none."""
    if files.onnx is None:
        raise EngineMissingError(
            f"{files}: exported with --no-cpu, for GPUs alone, expected an ONNX file, too; run it on a "
            "machine with a GPU, or export the checkpoint again without --no-cpu"
        )
    return files.onnx


def first_line(error: BaseException) -> str:
    """Return the first informative line of an error's message."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next(
        (line for line in lines if line and not line.startswith("Exception from")), type(error).__name__
    )


def cannot_load(name: str, path: Path, error: BaseException) -> ModelError:
    """Return the error for an invalid file, which fails on every machine."""
    return ModelError(
        f"{path}: {name} cannot load this network ({first_line(error)}); export the checkpoint again"
    )


def fails_to_load(name: str, path: Path | NetworkFiles, error: BaseException) -> MachineError:
    """Return the error for a valid file that fails to load on this machine."""
    return MachineError(
        f"{name} fails to load {path} ({first_line(error)}); give the machine more memory or choose another "
        "--engine"
    )


@contextmanager
def computing(info: EngineInfo, tile: Array, *failures: type[Exception]) -> Iterator[None]:
    """Convert the given exceptions, raised while a tile is computed, to `MachineError`."""
    try:
        yield
    except failures as error:
        raise MachineError(
            f"{info.name} on {info.device} failed on a tile of shape {tile.shape}: {first_line(error)}; "
            "give the machine more memory or choose another --engine"
        ) from error
