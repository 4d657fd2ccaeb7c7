"""OpenVINO on the CPU: several times faster than ONNX Runtime's own provider, on Intel, AMD and Arm."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.inference.engines import Precision
from common.inference.engines.contract import Device, EngineInfo, cannot_load, computing, fails_to_load
from common.inference.engines.machine import cpu_name, has_bfloat16, rationed_cores

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
PACKAGES = ("openvino",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
"""Left alone, OpenVINO computes in bfloat16 where the CPU has it."""
FAILURES = (RuntimeError, MemoryError)
OF_MEMORY = ("bad_alloc", "allocate", "not enough memory", "mmap")
"""What an error says that comes of memory and not of the file."""


class OpenVinoEngine:
    """A compiled network with one input and one output."""

    def __init__(self, compiled: openvino.CompiledModel, info: EngineInfo) -> None:
        self.info = info
        self.tile_shape = tuple(compiled.input(0).shape)
        self._request = compiled.create_infer_request()

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X); `MachineError` where that fails."""
        with computing(self.info, tiles, *FAILURES):
            logits = self._request.infer({0: tiles}, share_inputs=True)[0]
        return np.asarray(logits, np.float32)


def missing(precision: Precision) -> str | None:
    """The package, or the instructions: OpenVINO emulates bfloat16 without them, slower than float32."""
    if not find_spec("openvino"):
        return "OpenVINO is not installed; pip install openvino"
    if precision == "bfloat16" and not has_bfloat16():
        return f"{cpu_name()} has no instructions for bfloat16"
    return None


def load(path: Path, precision: Precision) -> OpenVinoEngine:
    """The ONNX file compiled for this CPU.

    Raises `ModelError` for a file that is no network, `MachineError` when the processor lacks an instruction
    or memory runs out.
    """
    import openvino

    try:
        network = _core().read_model(path)
    except FAILURES as error:
        if _tells_of_memory(error):
            raise fails_to_load(NAME, path, error) from error
        raise cannot_load(NAME, path, error) from error
    try:
        compiled = _core().compile_model(network, "CPU", _configuration(precision))
        return OpenVinoEngine(compiled, EngineInfo(NAME, cpu_name(), precision, openvino.__version__))
    except FAILURES as error:
        raise fails_to_load(NAME, path, error) from error


def _configuration(precision: Precision) -> dict[str, str | int | bool]:
    """OpenVINO counts the machine's cores; more threads than a container's ration slow each other down."""
    hint: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    if threads := rationed_cores():
        return hint | {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return hint


@cache
def _core() -> openvino.Core:
    """One for all networks: their threads and caches are shared."""
    import openvino

    return openvino.Core()


def _tells_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in OF_MEMORY)
