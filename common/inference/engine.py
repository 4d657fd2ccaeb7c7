"""Engines: one ONNX file, ready to run tiles on one device.

The rest of the package sees `Engine` alone. ONNX Runtime carries all of them: its own CPU
provider, the OpenVINO plugin provider (several times faster on x86 CPUs), and CUDA.
"""

import json
import logging
import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoSuchFile,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as NoSuchOperator,
)

from common.errors import MachineError, ModelError
from common.inference.options import EngineName, Precision

logger = logging.getLogger(__name__)

# Patients' data are no matter for a library's statistics, and there is no network to send them over.
ort.disable_telemetry_events()

OPENVINO = "OpenVINOExecutionProvider"
CUDA = "CUDAExecutionProvider"

NO_NETWORK = (InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, NoSuchOperator)
"""What ONNX Runtime raises for a file that it does not take, whatever the machine."""
FAILURES = (EPFail, Fail, RuntimeException, RuntimeError, MemoryError)
"""What it raises when something goes wrong; mostly memory ran out."""
MACHINE = ("bad_alloc", "CUDA failure")
"""What a `Fail` says that is not about the file."""

# Left alone, OpenVINO computes in bfloat16 on a CPU with AMX.
OPENVINO_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


@dataclass(frozen=True)
class EngineInfo:
    """What computes the logits, as the log names it."""

    name: str
    device: str
    precision: str
    version: str

    def __str__(self) -> str:
        return (
            f"engine: {self.name}, device: {self.device}, "
            f"precision: {self.precision}, version: {self.version}"
        )


class Engine(Protocol):
    """One network on one device."""

    info: EngineInfo

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, Z, Y, X) of tiles (B, C, Z, Y, X).

        Raises `ModelError` for tiles that the network does not take, `MachineError` when memory runs out.
        """
        ...


class OnnxRuntimeEngine:
    """An ONNX file in an ONNX Runtime session."""

    def __init__(self, path: Path, session: ort.InferenceSession, info: EngineInfo) -> None:
        self.info = info
        self._path = path
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, Z, Y, X) of tiles (B, C, Z, Y, X).

        Raises `ModelError` for tiles that the network does not take, `MachineError` when memory runs out.
        """
        try:
            (logits,) = self._session.run([self._output], {self._input: tiles})
        except InvalidArgument as error:
            raise ModelError(
                f"{self._path}: takes tiles of shape {self._session.get_inputs()[0].shape}, found "
                f"{list(tiles.shape)} as model.json wants it; export the checkpoint again"
            ) from error
        except FAILURES as error:
            raise MachineError(
                f"{self.info.name} on {self.info.device} failed on a tile of shape {tiles.shape}: "
                f"{first_line(error)}; give the machine more memory or choose another --engine"
            ) from error
        return np.asarray(logits, np.float32)


def make_engine(
    path: Path, *, engine: EngineName = "auto", precision: Precision = "float32"
) -> OnnxRuntimeEngine:
    """The engine of that name for one ONNX file; `auto` takes the fastest that this machine has.

    Where the GPU does not start, `auto` warns and takes the CPU. Raises `MachineError` for an engine that is
    not there, cannot do the precision, or runs out of memory, and `ModelError` for a file that is no ONNX
    network.
    """
    if engine != "auto":
        return _load(path, engine, precision)
    if fastest_engine() == "cuda":
        try:
            return _load(path, "cuda", precision)
        except MachineError as error:
            _warn(f"{error}; going on without the GPU")
    return _load(path, fastest_cpu_engine(), precision)


@cache
def fastest_engine() -> EngineName:
    """CUDA where ONNX Runtime has a GPU to run on, else the fastest on the CPU."""
    if CUDA in ort.get_available_providers() and has_nvidia_gpu():
        return "cuda"
    return fastest_cpu_engine()


def fastest_cpu_engine() -> EngineName:
    """OpenVINO on x86 where it is installed, else ONNX Runtime's own provider."""
    if platform.machine() == "x86_64" and find_spec("onnxruntime_ep_openvino"):
        return "openvino"
    return "cpu"


def has_nvidia_gpu() -> bool:
    """Whether the driver shows a GPU to this process."""
    return Path("/proc/driver/nvidia/gpus").is_dir() and Path("/dev/nvidiactl").exists()


def cpu_name() -> str:
    """The processor's model name, with the number of cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(models, platform.machine())} ({cores} cores)"


def first_line(error: BaseException) -> str:
    """An error's first line, for a message of one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@cache
def _warn(message: str) -> None:
    """Say it once, however many folds there are."""
    logger.warning(message)


def _load(path: Path, name: EngineName, precision: Precision) -> OnnxRuntimeEngine:
    if precision == "bfloat16" and name != "openvino":
        raise MachineError(f"engine {name} computes in float32 only; bfloat16 needs --engine openvino")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        if name == "openvino":
            return _openvino(path, options, precision)
        if name == "cuda":
            return _cuda(path, options)
        return _cpu(path, options)
    except (*NO_NETWORK, *FAILURES) as error:
        if _tells_of_the_file(error):
            raise ModelError(
                f"{path}: {name} cannot load this network ({first_line(error)}); export the checkpoint again"
            ) from error
        raise MachineError(
            f"{name} fails to load {path} ({first_line(error)}); give the machine more memory or choose "
            "another --engine"
        ) from error


def _tells_of_the_file(error: Exception) -> bool:
    about_machine = any(text in str(error) for text in MACHINE)
    return isinstance(error, NO_NETWORK) or (isinstance(error, Fail) and not about_machine)


def _cpu(path: Path, options: ort.SessionOptions) -> OnnxRuntimeEngine:
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return OnnxRuntimeEngine(path, session, EngineInfo("cpu", cpu_name(), "float32", ort.__version__))


def _openvino(path: Path, options: ort.SessionOptions, precision: Precision) -> OnnxRuntimeEngine:
    device = _openvino_cpu()
    config = json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": OPENVINO_HINTS[precision]}})
    options.add_provider_for_devices([device], {"load_config": config})
    # Otherwise a provider that fails is replaced by ONNX Runtime's own.
    session = ort.InferenceSession(path, options, enable_fallback=False)
    info = EngineInfo("openvino", cpu_name(), precision, device.ep_metadata["version"])
    return OnnxRuntimeEngine(path, session, info)


@cache
def _openvino_cpu() -> ort.OrtEpDevice:
    if not find_spec("onnxruntime_ep_openvino"):
        raise MachineError(
            "engine openvino is not installed; pip install onnxruntime-ep-openvino, or choose --engine cpu"
        )
    import onnxruntime_ep_openvino

    ort.register_execution_provider_library(OPENVINO, onnxruntime_ep_openvino.get_library_path())
    for device in ort.get_ep_devices():
        if device.ep_name == OPENVINO and device.ep_metadata.get("ov_device") == "CPU":
            return device
    raise MachineError("OpenVINO finds no CPU that it can use; choose --engine cpu")


def _cuda(path: Path, options: ort.SessionOptions) -> OnnxRuntimeEngine:
    if CUDA not in ort.get_available_providers():
        raise MachineError(
            "engine cuda is not installed; pip install onnxruntime-gpu, or choose --engine openvino"
        )
    # Left alone, the GPU multiplies in TensorFloat-32, with 10 bits of mantissa instead of float32's 23.
    session = ort.InferenceSession(
        path, options, providers=[(CUDA, {"use_tf32": "0"})], enable_fallback=False
    )
    if CUDA not in session.get_providers():
        raise MachineError(
            "ONNX Runtime finds no GPU that it can use; run the container with --gpus all, or choose "
            "--engine openvino"
        )
    return OnnxRuntimeEngine(path, session, EngineInfo("cuda", "GPU 0", "float32", ort.__version__))
