"""OpenVINO on Intel, AMD and Arm CPUs: several times faster than ONNX Runtime's default CPU provider."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.inference.engines import Precision
from common.inference.engines.contract import Device, EngineInfo, cannot_load, computing, fails_to_load
from common.inference.engines.machine import cpu_name, effective_quota, has_bfloat16

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
PACKAGES = ("openvino",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
"""By default OpenVINO computes in bfloat16 where the CPU supports it."""
RUNTIME_ERRORS = (RuntimeError, MemoryError)
MEMORY_MESSAGES = ("bad_alloc", "allocate", "not enough memory", "mmap")
"""Texts in the message of an error that insufficient memory caused, not the file."""


class OpenVinoEngine:
    """A compiled network with one input and one output."""

    def __init__(self, compiled: openvino.CompiledModel, info: EngineInfo) -> None:
        self.info = info
        self.tile_shape = tuple(compiled.input(0).shape)
        self._request = compiled.create_infer_request()

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X); `MachineError` on failure."""
        with computing(self.info, tiles, *RUNTIME_ERRORS):
            logits = self._request.infer({0: tiles}, share_inputs=True)[0]
        return np.asarray(logits, np.float32)


def missing(precision: Precision) -> str | None:
    """Return whether the package or bfloat16 instructions (emulation is slower than float32) are missing."""
    if not find_spec("openvino"):
        return "OpenVINO is not installed; pip install openvino"
    if precision == "bfloat16" and not has_bfloat16():
        return f"{cpu_name()} has no instructions for bfloat16"
    return None


def load(path: Path, precision: Precision) -> OpenVinoEngine:
    """Compile an ONNX file for this CPU.

    Raises `ModelError` for a file that is not a valid network, `MachineError` when the processor lacks an
    instruction set or memory is too small.
    """
    import openvino

    try:
        network = _core().read_model(path)
    except RUNTIME_ERRORS as error:
        if _is_memory_error(error):
            raise fails_to_load(NAME, path, error) from error
        raise cannot_load(NAME, path, error) from error
    try:
        compiled = _core().compile_model(network, "CPU", _configuration(precision))
        return OpenVinoEngine(compiled, EngineInfo(NAME, cpu_name(), precision, openvino.__version__))
    except RUNTIME_ERRORS as error:
        raise fails_to_load(NAME, path, error) from error


def _configuration(precision: Precision) -> dict[str, str | int | bool]:
    """Return the options; OpenVINO counts all cores, but threads beyond the quota slow each other down."""
    hint: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    if threads := effective_quota():
        return hint | {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return hint


@cache
def _core() -> openvino.Core:
    """Return the one core of all networks, which share its threads and caches."""
    import openvino

    return openvino.Core()


def _is_memory_error(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in MEMORY_MESSAGES)
