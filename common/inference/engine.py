"""Engines: one ONNX file, ready to run tiles on one device.

The rest of the package sees `Engine` alone. ONNX Runtime carries all of them: its own CPU
provider, the OpenVINO plugin provider (several times faster on x86 CPUs), and CUDA.
"""

import json
import logging
import os
import platform
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, InvalidProtobuf, RuntimeException

from common.errors import MachineError, ModelError
from common.inference.options import EngineName, Precision

logger = logging.getLogger(__name__)

OPENVINO = "OpenVINOExecutionProvider"
CUDA = "CUDAExecutionProvider"


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
        """Logits (B, K, Z, Y, X) of tiles (B, C, Z, Y, X); `MachineError` when memory runs out."""
        ...


class OnnxRuntimeEngine:
    """An ONNX file in an ONNX Runtime session."""

    def __init__(self, session: ort.InferenceSession, info: EngineInfo) -> None:
        self.info = info
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, Z, Y, X) of tiles (B, C, Z, Y, X); `MachineError` when memory runs out."""
        try:
            (logits,) = self._session.run([self._output], {self._input: tiles})
        except (EPFail, Fail, RuntimeException, MemoryError) as error:
            raise MachineError(
                f"{self.info.name} on {self.info.device} failed on a tile of shape {tiles.shape}: "
                f"{first_line(error)}; give the machine more memory or choose another --engine"
            ) from error
        return np.asarray(logits, np.float32)


def make_engine(
    path: Path, *, engine: EngineName = "auto", precision: Precision = "float32"
) -> OnnxRuntimeEngine:
    """The engine of that name for one ONNX file; `auto` takes the fastest that this machine has.

    Raises `MachineError` for an engine that is not there or cannot do the precision, and
    `ModelError` for a file that is no ONNX network.
    """
    name = fastest_engine() if engine == "auto" else engine
    if precision == "bfloat16" and name != "openvino":
        raise MachineError(f"engine {name} computes in float32 only; bfloat16 needs --engine openvino")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        if name == "openvino":
            return _openvino(path, options, precision)
        if name == "cuda":
            return _cuda(path, options)
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (InvalidProtobuf, Fail, EPFail, RuntimeException) as error:
        raise ModelError(
            f"{path}: {name} cannot load this network ({first_line(error)}); export the checkpoint again"
        ) from error
    return OnnxRuntimeEngine(session, EngineInfo("cpu", cpu_name(), "float32", ort.__version__))


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


def _openvino(path: Path, options: ort.SessionOptions, precision: Precision) -> OnnxRuntimeEngine:
    # Left alone, OpenVINO computes in bfloat16 on a CPU with AMX.
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    device = _openvino_cpu()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump({"CPU": {"INFERENCE_PRECISION_HINT": hint}}, config)
        config.flush()
        options.add_provider_for_devices([device], {"load_config": config.name})
        session = ort.InferenceSession(path, options)
    return OnnxRuntimeEngine(
        session, EngineInfo("openvino", cpu_name(), precision, device.ep_metadata["version"])
    )


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
    session = ort.InferenceSession(path, options, providers=[CUDA])
    if CUDA not in session.get_providers():
        raise MachineError(
            "ONNX Runtime finds no GPU that it can use; run the container with --gpus all, or choose "
            "--engine openvino"
        )
    return OnnxRuntimeEngine(session, EngineInfo("cuda", "GPU 0", "float32", ort.__version__))
