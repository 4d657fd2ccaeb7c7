"""What the engines need of an NVIDIA GPU: memory, copies, streams, events and kernels, and nothing else.

`common/inference/engines/cuda.py` fulfils it with the driver.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import MachineError

Capability = tuple[int, int]
"""Compute capability, (major, minor)."""
Address = int
"""Of GPU memory."""
Handle = int
"""Of a stream, an event or a kernel."""
Scalar = ctypes.c_void_p | ctypes.c_int | ctypes.c_longlong | ctypes.c_float | ctypes.Structure
"""A kernel's argument, as it lies in memory."""
PinnedMemory = NDArray[np.uint8]
"""Host memory that stays in its place, so that copies run beside the computation."""


class GpuError(MachineError):
    """A call to the GPU failed."""


class GpuMemoryError(GpuError):
    """The GPU's memory is too small."""


@dataclass(frozen=True)
class GpuInfo:
    """What is known of a GPU before it is used."""

    name: str
    capability: Capability
    memory: int
    """Bytes, used or not."""
    cuda: tuple[int, int]
    """The latest CUDA version that its driver supports, (major, minor)."""

    @property
    def capability_name(self) -> str:
        """Such as `"7.5"`."""
        return dotted(self.capability)


class Gpu(Protocol):
    """One GPU; all methods raise `GpuError`, those that allocate `GpuMemoryError`.

    Copies, kernels and marks wait in their stream for what was put into it before, and for nothing else.
    """

    info: GpuInfo

    def activate(self) -> None:
        """Let this thread use the GPU, which every thread has to before its first call."""
        ...

    def free_memory(self) -> int:
        """Bytes that can still be allocated, roughly: other processes may use the GPU."""
        ...

    def allocate(self, size: int) -> Address:
        """So many bytes of GPU memory, aligned to 256."""
        ...

    def free(self, address: Address) -> None:
        """Give GPU memory back."""
        ...

    def allocate_pinned(self, size: int) -> PinnedMemory:
        """So many bytes of host memory for copies."""
        ...

    def free_pinned(self, memory: PinnedMemory) -> None:
        """Give host memory back; the array must not be used any more."""
        ...

    def make_stream(self) -> Handle:
        """A queue of work that runs beside other streams."""
        ...

    def make_event(self) -> Handle:
        """A mark that can be put into one stream and waited for in another."""
        ...

    def copy_in(self, target: Address, source: PinnedMemory, stream: Handle) -> None:
        """Copy all of `source` to the GPU, in the stream."""
        ...

    def copy_out(self, target: PinnedMemory, source: Address, stream: Handle) -> None:
        """Fill all of `target` from the GPU, in the stream."""
        ...

    def record(self, event: Handle, stream: Handle) -> None:
        """Let the event stand for what is in the stream now."""
        ...

    def wait(self, stream: Handle, event: Handle) -> None:
        """Let what is put into the stream from now on wait for what the event stands for."""
        ...

    def synchronise(self, event: Handle) -> None:
        """Return when what the event stands for is done."""
        ...

    def drain(self, stream: Handle) -> None:
        """Return when all that is in the stream is done."""
        ...

    def load_kernel(self, image: bytes, name: str) -> Handle:
        """The kernel of that name in a cubin."""
        ...

    def launch(
        self,
        kernel: Handle,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Scalar],
        stream: Handle,
    ) -> None:
        """Start a kernel in the stream with that many blocks (x, y, z) of threads (x, y, z)."""
        ...

    def close(self) -> None:
        """Give back everything; the object must not be used any more. Raises nothing."""
        ...


def dotted(version: tuple[int, int]) -> str:
    """Such as `"7.5"` for (7, 5)."""
    return ".".join(map(str, version))
