"""Protocols: an engine, as the rest of the package uses it, and a backend, as the ladder uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError, ModelError
from common.inference.engines import Precision

Device = Literal["cpu", "gpu"]
DEVICES: tuple[Device, ...] = get_args(Device)


class EngineMissingError(MachineError):
    """The machine lacks something that the engine needs: a package, a device, an instruction set."""


@dataclass(frozen=True)
class EngineInfo:
    """Description of an engine for the log."""

    name: str
    device: str
    precision: Precision
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
        """The only input shape that the network accepts, (B, C, [Z,] Y, X)."""
        ...

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X) as a new array.

        Raises `ModelError` for tiles of another shape, `MachineError` when the computation fails, usually
        because memory is too small.
        """
        ...


class Backend(Protocol):
    """A module of this package that loads networks with one runtime library onto one kind of device."""

    PACKAGES: tuple[str, ...]
    """Python packages that it needs."""
    DEVICE: Device
    """Kind of device that it computes on."""
    PRECISIONS: tuple[Precision, ...]
    """Precisions that it supports, on suitable hardware."""

    def missing(self, precision: Precision) -> str | None:
        """Return what this machine lacks to compute in that precision, `None` if nothing."""
        ...

    def load(self, path: Path, precision: Precision) -> Engine:
        """Load an ONNX file.

        Raises `ModelError` for a file that is not a valid network, `MachineError` for any other failure.
        """
        ...


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


def fails_to_load(name: str, path: Path, error: BaseException) -> MachineError:
    """Return the error for a valid file that fails to load on this machine."""
    return MachineError(
        f"{name} fails to load {path} ({first_line(error)}); give the machine more memory or choose another "
        "--engine"
    )


@contextmanager
def computing(info: EngineInfo, tiles: NDArray[np.float32], *failures: type[Exception]) -> Iterator[None]:
    """Convert the given exceptions, raised while a tile is computed, to `MachineError`."""
    try:
        yield
    except failures as error:
        raise MachineError(
            f"{info.name} on {info.device} failed on a tile of shape {tiles.shape}: {first_line(error)}; "
            "give the machine more memory or choose another --engine"
        ) from error
