"""Engines that were compiled for NVIDIA GPUs at export, on TensorRT-RTX or the full TensorRT.

Each is loaded by the library and version that built it, and by no other. One at a time is on the GPU; memory
for what it computes, streams and buffers serve them all. Nobody has yet run it on a GPU.

Source: NVIDIA, TensorRT-RTX documentation; its Python API reference.
"""

from __future__ import annotations

import atexit
import logging
import mmap
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from common.errors import MachineError, ModelError
from common.inference.engines import cuda
from common.inference.engines.carriers import (
    LIBRARIES,
    Library,
    import_library,
    installed_libraries,
)
from common.inference.engines.contract import (
    Array,
    Device,
    EngineInfo,
    EngineMissingError,
    EnginePrecision,
)
from common.inference.engines.engine_files import fitting_engine, require_unaltered, require_version
from common.inference.engines.gpu import Address, Gpu, GpuError, GpuMemoryError, Handle
from common.inference.engines.machine import gpus
from common.inference.engines.pipeline import DEPTH, FLOAT32, Pipeline
from common.inference.engines.runtime_cache import RuntimeCache
from common.inference.files import EngineFile, KernelFile, NetworkFiles
from common.memory import available_memory
from common.sizes import at_most

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger(__name__)

NAME = "tensorrt"
PACKAGES = (*(package for library in LIBRARIES for package in library.packages), cuda.PACKAGE)
DEVICE: Device = "gpu"
PRECISIONS: tuple[EnginePrecision, ...] = ("float16",)
GIB = 2**30
DIAGNOSES = {
    "VERSION_MISMATCH": "was built by another version of the library; export the checkpoint again",
    "UNSUPPORTED_CC": "was built for GPUs of another compute capability; export the checkpoint again",
    "OLD_CUDA_DRIVER": "needs a newer driver of the GPU; install one",
    "OLD_CUDA_RUNTIME": "needs a newer CUDA runtime; install the version of the library that built it",
    "INSUFFICIENT_GPU_MEMORY": "needs more GPU memory than there is; use a larger GPU",
    "MALFORMED_ENGINE": "is damaged; export the checkpoint again",
    "CUDA_ERROR": "cannot be checked, because CUDA failed; see whether nvidia-smi works",
}
"""What the library's check of an engine says, in words; names of `EngineInvalidityDiagnostics`."""


def missing(precision: EnginePrecision) -> str | None:
    """Return what is missing of packages and GPU; `MachineError` for a GPU that cannot be used."""
    absent = [cuda.PACKAGE] if not find_spec("cuda") or not find_spec("cuda.bindings") else []
    if not installed_libraries():
        absent += LIBRARIES[0].packages
    if absent:
        return f"not installed; pip install {' '.join(absent)}" if gpus() else cuda.NO_GPU
    try:
        cuda.find_gpu()
    except EngineMissingError as error:
        return str(error)
    return None


def load(files: NetworkFiles, precision: EnginePrecision) -> TensorRtEngine:
    """Load the engine that fits this GPU and the libraries that are installed.

    Raises `ModelError` for a file that was altered, `MachineError` that gives the reason for everything else.
    """
    libraries = {library.carrier: library for library in installed_libraries()}
    engine, library = fitting_engine(files, cuda.find_gpu(), libraries)
    trt = import_library(library)
    require_version(engine, library, trt.__version__)
    require_unaltered(engine)
    try:
        session = _session()
        if engine.plugin:
            _prepare_plugin(trt, files.kernels, session.gpu)
        return TensorRtEngine(engine, library, trt, session)
    except GpuMemoryError as error:
        free = _free_memory()
        _give_up()
        raise MachineError(
            f"{engine.path}: the GPU's memory is short, {free} ({error}); use a larger GPU"
        ) from error
    except GpuError as error:
        _give_up()
        raise MachineError(f"{engine.path}: does not load on the GPU ({error})") from error
    except (MachineError, ModelError):
        _give_up()
        raise


class Session:
    """What all engines of this process share: the GPU, streams, buffers and compiled kernels."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.pipeline = Pipeline(gpu)
        self.engines: WeakSet[TensorRtEngine] = WeakSet()
        self._caches: dict[str, RuntimeCache] = {}

    def cache(self, library: Library, version: str) -> RuntimeCache:
        """The compiled kernels of a library."""
        key = f"{library.carrier}-{version}"
        return self._caches.setdefault(key, RuntimeCache(self.gpu.info, key))

    def close(self, *, save: bool) -> None:
        """Free everything on the GPU, engines first; raises nothing that a GPU may cause."""
        if save:
            for kept in self._caches.values():
                kept.save()
        for engine in list(self.engines):
            engine.close()
        self._caches.clear()
        self.gpu.close()


@cache
def _session() -> Session:
    return Session(cuda.open_gpu())


@atexit.register
def _close_at_exit() -> None:
    """Close before the libraries are torn down, in whose absence closing would crash."""
    _give_up(save=True)


def _give_up(*, save: bool = False) -> None:
    """Free the GPU; what is loaded next begins anew."""
    if _session.cache_info().currsize:
        session = _session()
        _session.cache_clear()
        session.close(save=save)


def _free_memory() -> str:
    try:
        gpu = _session().gpu
        return f"{at_most(gpu.free_memory(), GIB)} of {at_most(gpu.info.memory, GIB)} GiB are free"
    except MachineError as error:
        return str(error)


class TensorRtEngine:
    """A network on the GPU, with one execution context for each number of tiles that it computes at once."""

    def __init__(self, file: EngineFile, library: Library, trt: ModuleType, session: Session) -> None:
        gpu = session.gpu.info
        version = f"{library.title} {trt.__version__}, compute capability {gpu.capability_name}"
        self.info = EngineInfo(NAME, gpu.name, "float16", version)
        self._path = file.path
        self._session: Session = session
        self._logger = _make_logger(trt)
        self._engine = self._deserialised(trt, library)
        session.engines.add(self)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = [self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names]
        self._tiles, self._logits = names[is_input.index(True)], names[is_input.index(False)]
        self.tile_shape = (1, *self._engine.get_tensor_shape(self._tiles)[1:])
        self._logits_shape = tuple(self._engine.get_tensor_shape(self._logits)[1:])
        self._contexts: dict[int, Any] = {}
        for profile, batch in enumerate(file.batches):
            if batch == 1 or self._fits(profile, batch):
                self._contexts[batch] = self._make_context(trt, library, profile, batch)
        self.batch = max(self._contexts)

    def stream(self, tiles: Iterable[Array]) -> Iterator[Array]:
        """Yield the logits of every tile, in order; of as many tiles as two batches have, some are ahead."""
        try:
            self._session.gpu.activate()
            yield from self._session.pipeline.stream(
                self._batches(iter(tiles)), self._logits_shape, self._start
            )
        except GpuError as error:
            _give_up()
            raise MachineError(
                f"{NAME} on {self.info.device} failed on a tile of shape {self.tile_shape[1:]}: {error}"
            ) from error

    def close(self) -> None:
        """Free the network; it must not be used any more."""
        self._contexts.clear()
        self._engine = None

    def _batches(self, tiles: Iterator[Array]) -> Iterator[list[Array]]:
        """Tiles in batches of the largest size; what remains in the end, one by one."""
        while batch := list(islice(tiles, self.batch)):
            yield from [batch] if len(batch) == self.batch else ([tile] for tile in batch)

    def _start(self, batch: int, tiles: Address, logits: Address, stream: Handle) -> None:
        context = self._contexts[batch]
        context.set_tensor_address(self._tiles, tiles)
        context.set_tensor_address(self._logits, logits)
        size = context.update_device_memory_size_for_shapes()
        # Another network's larger need may have moved the memory since.
        context.set_device_memory(self._session.pipeline.activations(size), size)
        if not context.execute_async_v3(stream):
            raise self._failure("the computation does not start")

    def _fits(self, profile: int, batch: int) -> bool:
        """Whether there is room for a batch's activations, and its buffers on both sides."""
        buffers = DEPTH * batch * FLOAT32 * (prod(self.tile_shape) + prod(self._logits_shape))
        activations = self._engine.get_device_memory_size_for_profile_v2(profile)
        return bool(
            buffers + activations <= self._session.gpu.free_memory() and 2 * buffers <= available_memory()
        )

    def _deserialised(self, trt: ModuleType, library: Library) -> Any:
        runtime = trt.Runtime(self._logger)
        with (
            self._path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if library.checks_engines:
                validity, diagnostics = runtime.get_engine_validity(content[: runtime.engine_header_size])
                if validity == trt.EngineValidity.INVALID:
                    raise MachineError(f"{self._path}: {_diagnosis(trt, diagnostics)}")
            engine = runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise self._failure("the library does not load it")
        return engine

    def _make_context(self, trt: ModuleType, library: Library, profile: int, batch: int) -> Any:
        user_managed = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if library.caches:
            configuration = self._engine.create_runtime_config()
            configuration.set_execution_context_allocation_strategy(user_managed)
            self._session.cache(library, trt.__version__).attach(configuration)
            context = self._engine.create_execution_context(configuration)
        else:
            context = self._engine.create_execution_context(user_managed)
        if context is None:
            raise self._failure("the library makes no context for it")
        compute = self._session.pipeline.compute
        if not context.set_optimization_profile_async(profile, compute):
            raise self._failure(f"has no profile {profile}")
        if not context.set_input_shape(self._tiles, (batch, *self.tile_shape[1:])):
            raise self._failure(f"takes no {batch} tiles at once")
        size = context.update_device_memory_size_for_shapes()
        self._session.pipeline.activations(size)  # now, so that memory that is short is known before any tile
        self._session.gpu.drain(compute)
        return context

    def _failure(self, what: str) -> GpuError:
        """The error for a call of the library that failed, with what it logged."""
        reason = self._logger.last_error or "no reason given"
        is_memory = any(word in reason.lower() for word in ("out of memory", "outofmemory", "allocat"))
        return (GpuMemoryError if is_memory else GpuError)(f"{what}: {reason}")


def _prepare_plugin(trt: ModuleType, kernels: tuple[KernelFile, ...], gpu: Gpu) -> None:
    """Let the library find the deformable convolution's kernel."""
    from common.inference.engines.deform_im2col3d import load_im2col, register

    for kernel in kernels:
        require_unaltered(kernel)
    register(trt, load_im2col(gpu, kernels, gpu.info.capability))


def _diagnosis(trt: ModuleType, diagnostics: int) -> str:
    """The reasons in a set of flags, in words."""
    flags = trt.EngineInvalidityDiagnostics.__members__
    reasons = [text for name, text in DIAGNOSES.items() if name in flags and diagnostics & int(flags[name])]
    return ", and ".join(reasons) or "does not fit this machine; the library gives no reason"


def _make_logger(trt: ModuleType) -> Any:
    """A logger of the library's that keeps the last error and lets nothing reach stderr."""

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        last_error = ""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.Logger.ERROR:
                self.last_error = " ".join(message.split())
            logger.debug("%s", message)

    return Logger()
