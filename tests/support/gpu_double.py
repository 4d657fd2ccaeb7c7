"""A GPU and a TensorRT that really compute, on the CPU: the first lazily, the second by OpenVINO."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from common.inference.engines.gpu import GpuError, GpuInfo, GpuMemoryError, PinnedMemory, Scalar

T4 = GpuInfo("Pretended T4", (7, 5), 2**34, (12, 9))
ACTIVATIONS = 1000
"""Bytes of each tile."""

Mark = tuple[int, int]
"""A stream, and how much had been put into it."""


class LazyGpu:
    """Does nothing before it must: work waits in its stream until someone waits for it.

    What lacks an event, or is overwritten too early, so gives other numbers; memory begins as no numbers.
    `fails` names a method and which of its calls, and all later ones, raise `GpuError`; `memory` bytes are
    there.
    """

    def __init__(
        self, info: GpuInfo = T4, *, fails: tuple[str, int] | None = None, memory: int = 2**34
    ) -> None:
        self.info = info
        self.memory = memory
        self.buffers: dict[int, NDArray[np.uint8]] = {}
        self.most_waiting = 0
        self.closed = False
        self._fails = fails
        self._calls = 0
        self._broken = False
        self._handles = count(1)
        self._streams: dict[int, list[Callable[[], None]]] = {}
        self._done: dict[int, int] = {}
        self._marks: dict[int, Mark] = {}

    def activate(self) -> None:
        self._check("activate")

    def free_memory(self) -> int:
        return self.memory - sum(map(len, self.buffers.values()))

    def allocate(self, size: int) -> int:
        self._check("allocate")
        if size > self.free_memory():
            raise GpuMemoryError("allocate: out of memory")
        return self._kept(size).ctypes.data

    def free(self, address: int) -> None:
        del self.buffers[address]

    def allocate_pinned(self, size: int) -> PinnedMemory:
        self._check("allocate_pinned")
        return self._kept(size)

    def free_pinned(self, memory: PinnedMemory) -> None:
        del self.buffers[memory.ctypes.data]

    def make_stream(self) -> int:
        handle = next(self._handles)
        self._streams[handle], self._done[handle] = [], 0
        return handle

    def make_event(self) -> int:
        return next(self._handles)

    def copy_in(self, target: int, source: PinnedMemory, stream: int) -> None:
        self._check("copy_in")
        self.enqueue(stream, lambda: np.copyto(as_array(target, source.nbytes), source))

    def copy_out(self, target: PinnedMemory, source: int, stream: int) -> None:
        self._check("copy_out")
        self.enqueue(stream, lambda: np.copyto(target, as_array(source, target.nbytes)))

    def record(self, event: int, stream: int) -> None:
        self._check("record")
        self._marks[event] = (stream, len(self._streams[stream]))

    def wait(self, stream: int, event: int) -> None:
        self._check("wait")
        mark = self._marks[event]
        self.enqueue(stream, lambda: self._run(*mark))

    def synchronise(self, event: int) -> None:
        self._check("synchronise")
        self._run(*self._marks[event])

    def drain(self, stream: int) -> None:
        self._check("drain")
        self._run(stream, len(self._streams[stream]))

    def load_kernel(self, image: bytes, name: str) -> int:
        raise NotImplementedError

    def launch(
        self,
        kernel: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Scalar],
        stream: int,
    ) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.buffers.clear()
        self.closed = True

    def enqueue(self, stream: int, work: Callable[[], None]) -> None:
        """Put work into a stream."""
        self._streams[stream].append(work)

    def _run(self, stream: int, stop: int) -> None:
        while self._done[stream] < stop:
            work = self._streams[stream][self._done[stream]]
            self._done[stream] += 1
            work()

    def _kept(self, size: int) -> NDArray[np.uint8]:
        buffer = np.full(size, 0xFF, np.uint8)
        self.buffers[buffer.ctypes.data] = buffer
        return buffer

    def _check(self, method: str) -> None:
        if self._fails and self._fails[0] == method:
            self._calls += 1
            self._broken |= self._calls >= self._fails[1]
        if self._broken:
            raise GpuError(f"{method}: unspecified launch failure")


def as_array(address: int, size: int) -> NDArray[np.uint8]:
    """The bytes there."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class Validity(IntEnum):
    VALID = 0
    INVALID = 2


class Diagnostics(IntEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    INSUFFICIENT_GPU_MEMORY = 16


@dataclass
class PretendedTensorRt:
    """A carrier's module whose engine files are ONNX files for one tile, which OpenVINO computes.

    `enqueue(stream, work)` lets the GPU's double do the work in its time.
    """

    enqueue: Callable[[int, Callable[[], None]], None]
    batches: tuple[int, ...] = (1,)
    validity: tuple[int, int] = (Validity.VALID, 0)
    loads: bool = True
    batches_run: list[int] = field(default_factory=list)
    __version__ = "1.7.1.116"

    EngineValidity = Validity
    EngineInvalidityDiagnostics = Diagnostics
    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED=2)
    TensorIOMode = SimpleNamespace(INPUT=1, OUTPUT=2)
    Logger = SimpleNamespace(ERROR=1)

    class ILogger:
        pass

    def Runtime(self, logger: Any) -> "Runtime":  # noqa: N802
        return Runtime(self, logger)


@dataclass
class Runtime:
    trt: PretendedTensorRt
    logger: Any
    engine_header_size = 64

    def get_engine_validity(self, header: bytes) -> tuple[int, int]:
        assert len(header) == self.engine_header_size
        return self.trt.validity

    def deserialize_cuda_engine(self, content: Any) -> "PretendedEngine | None":
        if not self.trt.loads:
            self.logger.log(1, "Error Code 2: OutOfMemory\n (Requested size was 4 bytes.)")
            return None
        core = openvino.Core()
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        return PretendedEngine(self.trt, core.compile_model(core.read_model(content[:], b""), "CPU", options))


class Cache:
    """A runtime cache of TensorRT-RTX."""

    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        if content.startswith(b"kernels"):
            self.content = content
        return bool(self.content)

    def serialize(self) -> bytes:
        return b"kernels"


class PretendedEngine:
    num_io_tensors = 2

    def __init__(self, trt: PretendedTensorRt, compiled: openvino.CompiledModel) -> None:
        self.trt, self.compiled = trt, compiled
        self.shapes = {"tiles": tuple(compiled.input(0).shape), "logits": tuple(compiled.output(0).shape)}

    def get_tensor_name(self, index: int) -> str:
        return [*self.shapes][index]

    def get_tensor_mode(self, name: str) -> int:
        return {"tiles": 1, "logits": 2}[name]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.shapes[name][1:])

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return ACTIVATIONS * self.trt.batches[profile]

    def create_runtime_config(self) -> SimpleNamespace:
        return SimpleNamespace(
            set_execution_context_allocation_strategy=lambda strategy: None,
            create_runtime_cache=Cache,
            set_runtime_cache=lambda cache: True,
        )

    def create_execution_context(self, configuration: Any) -> "Context":
        return Context(self)


class Context:
    def __init__(self, engine: PretendedEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.batch = 0
        self.memory = 0

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.batch = self.engine.trt.batches[profile]
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return shape == (self.batch, *self.engine.shapes["tiles"][1:])

    def update_device_memory_size_for_shapes(self) -> int:
        return ACTIVATIONS * self.batch

    def set_device_memory(self, address: int, size: int) -> None:
        assert address
        self.memory = size

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert self.memory == ACTIVATIONS * self.batch
        engine, batch, addresses = self.engine, self.batch, dict(self.addresses)
        engine.trt.batches_run.append(batch)

        def compute() -> None:
            tiles, logits = (self._floats(addresses[name], name, batch) for name in ("tiles", "logits"))
            for tile, result in zip(tiles, logits, strict=True):
                result[...] = engine.compiled(tile[None].copy())[0][0]

        engine.trt.enqueue(stream, compute)
        return True

    def _floats(self, address: int, name: str, batch: int) -> NDArray[np.float32]:
        shape = (batch, *self.engine.shapes[name][1:])
        return as_array(address, 4 * int(np.prod(shape))).view(np.float32).reshape(shape)
