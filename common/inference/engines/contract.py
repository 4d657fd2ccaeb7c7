"""What the rest of the package knows of an engine, and what the ladder knows of a carrier."""

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
    """The machine lacks what the engine needs: a package, a device, an instruction set."""


@dataclass(frozen=True)
class EngineInfo:
    """What computes the logits, as the log names it."""

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
    """One network on one device."""

    @property
    def info(self) -> EngineInfo:
        """What computes."""
        ...

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """The shape (B, C, [Z,] Y, X) that the network takes, the only one."""
        ...

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X), in memory of their own.

        Raises `ModelError` for tiles of another shape, `MachineError` when the computation fails, mostly for
        want of memory.
        """
        ...


class Carrier(Protocol):
    """A module of this package that brings networks onto one kind of device."""

    PACKAGES: tuple[str, ...]
    """What it needs from the package index."""
    DEVICE: Device
    """What it computes on."""
    PRECISIONS: tuple[Precision, ...]
    """What it computes in, on a machine that has all it needs."""

    def missing(self, precision: Precision) -> str | None:
        """What this machine lacks to compute in that precision, `None` where it has all."""
        ...

    def load(self, path: Path, precision: Precision) -> Engine:
        """The ONNX file, ready to run.

        Raises `ModelError` for a file that is no network, `MachineError` when loading fails otherwise.
        """
        ...


def first_line(error: BaseException) -> str:
    """An error's first line that says something, for a message of one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next(
        (line for line in lines if line and not line.startswith("Exception from")), type(error).__name__
    )


def cannot_load(name: str, path: Path, error: BaseException) -> ModelError:
    """The error for a file that is at fault, whatever the machine."""
    return ModelError(
        f"{path}: {name} cannot load this network ({first_line(error)}); export the checkpoint again"
    )


def fails_to_load(name: str, path: Path, error: BaseException) -> MachineError:
    """The error for a machine that is at fault."""
    return MachineError(
        f"{name} fails to load {path} ({first_line(error)}); give the machine more memory or choose another "
        "--engine"
    )


@contextmanager
def computing(info: EngineInfo, tiles: NDArray[np.float32], *failures: type[Exception]) -> Iterator[None]:
    """Raise `MachineError` for a tile that fails."""
    try:
        yield
    except failures as error:
        raise MachineError(
            f"{info.name} on {info.device} failed on a tile of shape {tiles.shape}: {first_line(error)}; "
            "give the machine more memory or choose another --engine"
        ) from error
