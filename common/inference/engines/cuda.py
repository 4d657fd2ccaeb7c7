"""The GPU by way of NVIDIA's driver: `cuda.bindings`, the driver's functions alone.

Source: NVIDIA, CUDA Driver API.
"""

import ctypes
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from common.errors import MachineError
from common.inference.engines.contract import EngineMissingError
from common.inference.engines.gpu import (
    Address,
    GpuError,
    GpuInfo,
    GpuMemoryError,
    Handle,
    PinnedMemory,
    Scalar,
    dotted,
)
from common.inference.engines.machine import gpus

logger = logging.getLogger(__name__)

PACKAGE = "cuda-bindings"
OLDEST = (12, 0)
"""CUDA version that the driver must support: every later 12.x runs there, too."""
COMPUTE = "run the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility"
NO_GPU = "no NVIDIA GPU is visible; run the container with --gpus all"


def find_gpu() -> GpuInfo:
    """The first GPU that this process sees.

    Raises `EngineMissingError` where there is no GPU or no driver, and `MachineError` where there is one that
    cannot be used.
    """
    return _describe(_first_device())


def open_gpu() -> "CudaGpu":
    """The first GPU, made ready for this process; raises as `find_gpu`, and `GpuError`."""
    return CudaGpu(_first_device())


class CudaGpu:
    """A GPU in the primary context, which CUDA's other users in this process share."""

    def __init__(self, device: int) -> None:
        from cuda.bindings import driver

        self._driver = driver
        self._owned: dict[int, Callable[[], None]] = {}
        """What gives back each address and handle."""
        self.info = _describe(device)
        self._context = int(_call(driver.cuDevicePrimaryCtxRetain, device))
        self._own(self._context, driver.cuDevicePrimaryCtxRelease, device)
        self.activate()

    def activate(self) -> None:
        """Let this thread use the GPU."""
        _call(self._driver.cuCtxSetCurrent, self._context)

    def free_memory(self) -> int:
        """Bytes that can still be allocated, roughly."""
        free, _ = _call(self._driver.cuMemGetInfo)
        return int(free)

    def allocate(self, size: int) -> Address:
        """So many bytes of GPU memory, aligned to 256."""
        address = int(_call(self._driver.cuMemAlloc, size))
        return self._own(address, self._driver.cuMemFree, address)

    def free(self, address: Address) -> None:
        """Give GPU memory back."""
        self._owned.pop(address)()

    def allocate_pinned(self, size: int) -> PinnedMemory:
        """So many bytes of host memory for copies."""
        address = int(_call(self._driver.cuMemHostAlloc, size, 0))
        self._own(address, self._driver.cuMemFreeHost, address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def free_pinned(self, memory: PinnedMemory) -> None:
        """Give host memory back; the array must not be used any more."""
        self._owned.pop(memory.ctypes.data)()

    def make_stream(self) -> Handle:
        """A queue of work that runs beside other streams."""
        stream = int(_call(self._driver.cuStreamCreate, self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
        return self._own(stream, self._driver.cuStreamDestroy, stream)

    def make_event(self) -> Handle:
        """A mark that can be put into one stream and waited for in another."""
        event = int(_call(self._driver.cuEventCreate, self._driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))
        return self._own(event, self._driver.cuEventDestroy, event)

    def copy_in(self, target: Address, source: PinnedMemory, stream: Handle) -> None:
        """Copy all of `source` to the GPU, in the stream."""
        _call(self._driver.cuMemcpyHtoDAsync, target, source.ctypes.data, source.nbytes, stream)

    def copy_out(self, target: PinnedMemory, source: Address, stream: Handle) -> None:
        """Fill all of `target` from the GPU, in the stream."""
        _call(self._driver.cuMemcpyDtoHAsync, target.ctypes.data, source, target.nbytes, stream)

    def record(self, event: Handle, stream: Handle) -> None:
        """Let the event stand for what is in the stream now."""
        _call(self._driver.cuEventRecord, event, stream)

    def wait(self, stream: Handle, event: Handle) -> None:
        """Let what is put into the stream from now on wait for what the event stands for."""
        _call(self._driver.cuStreamWaitEvent, stream, event, 0)

    def synchronise(self, event: Handle) -> None:
        """Return when what the event stands for is done."""
        _call(self._driver.cuEventSynchronize, event)

    def drain(self, stream: Handle) -> None:
        """Return when all that is in the stream is done, at once after `close`."""
        if stream in self._owned:
            _call(self._driver.cuStreamSynchronize, stream)

    def load_kernel(self, image: bytes, name: str) -> Handle:
        """The kernel of that name in a cubin."""
        module = int(_call(self._driver.cuModuleLoadData, image))
        self._own(module, self._driver.cuModuleUnload, module)
        return int(_call(self._driver.cuModuleGetFunction, module, name.encode()))

    def launch(
        self,
        kernel: Handle,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Scalar],
        stream: Handle,
    ) -> None:
        """Start a kernel in the stream."""
        # The driver copies the arguments before the call returns.
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        _call(self._driver.cuLaunchKernel, kernel, *grid, *block, 0, stream, ctypes.addressof(pointers), 0)

    def close(self) -> None:
        """Give back everything, the context last."""
        with suppress(GpuError):
            self.activate()
        while self._owned:
            _, give_back = self._owned.popitem()
            try:
                give_back()
            except GpuError as error:
                # After a failed launch every call fails; the driver gives everything back with the context.
                logger.debug("%s", error)

    def _own(self, number: int, give_back: Callable[[int], Any], argument: int) -> int:
        self._owned[number] = lambda: _call(give_back, argument)
        return number


def _first_device() -> int:
    """The first GPU's number for the driver; raises as `find_gpu`."""
    from cuda.bindings import driver
    from cuda.pathfinder import DynamicLibNotFoundError

    try:
        (code,) = driver.cuInit(0)
    except DynamicLibNotFoundError as error:
        if gpus():
            raise MachineError(f"{gpus()[0]} is visible, its driver's library is not; {COMPUTE}") from error
        raise EngineMissingError(NO_GPU) from error
    except RuntimeError as error:  # the library lacks the function by which all others are found
        raise _too_old("supports no CUDA 12") from error
    if code == driver.CUresult.CUDA_ERROR_NO_DEVICE:
        raise EngineMissingError(NO_GPU)
    if code != driver.CUresult.CUDA_SUCCESS:
        raise MachineError(f"the GPU's driver does not start ({_text(code)}); see whether nvidia-smi works")
    if not _call(driver.cuDeviceGetCount):
        raise EngineMissingError(NO_GPU)
    if _cuda_version() < OLDEST:
        raise _too_old(f"supports CUDA {dotted(_cuda_version())}")
    return int(_call(driver.cuDeviceGet, 0))


def _describe(device: int) -> GpuInfo:
    from cuda.bindings import driver

    number = driver.CUdevice_attribute
    major, minor = (
        int(_call(driver.cuDeviceGetAttribute, attribute, device))
        for attribute in (
            number.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            number.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    name = bytes(_call(driver.cuDeviceGetName, 256, device)).split(b"\0")[0].decode()
    memory = int(_call(driver.cuDeviceTotalMem, device))
    return GpuInfo(name, (major, minor), memory, _cuda_version())


def _cuda_version() -> tuple[int, int]:
    from cuda.bindings import driver

    version = int(_call(driver.cuDriverGetVersion))
    return version // 1000, version % 1000 // 10


def _too_old(found: str) -> MachineError:
    return MachineError(
        f"the GPU's driver {found}, expected {dotted(OLDEST)} or later; install a newer driver"
    )


def _call(function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
    """What a function of the driver gives beside its error code; `GpuError` where that is one."""
    from cuda.bindings.driver import CUresult

    try:
        code, *results = function(*arguments)
    except RuntimeError as error:
        raise GpuError(f"the GPU's driver is too old ({error}); install a newer driver") from error
    if code == CUresult.CUDA_SUCCESS:
        return results[0] if len(results) == 1 else results
    if code == CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        raise GpuMemoryError(f"{function.__name__}: {_text(code)}")
    raise GpuError(f"{function.__name__}: {_text(code)}")


def _text(code: Any) -> str:
    from cuda.bindings import driver

    _, text = driver.cuGetErrorString(code)
    return text.decode() if text else str(code)
