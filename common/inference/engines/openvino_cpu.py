"""OpenVINO on Intel, AMD and Arm CPUs: several times faster than ONNX Runtime's default CPU provider."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from common.inference.engines.contract import (
    Array,
    Device,
    EngineInfo,
    EnginePrecision,
    TileByTile,
    cannot_load,
    computing,
    fails_to_load,
    onnx_of,
)
from common.inference.engines.machine import cpu_name, effective_quota, has_bfloat16
from common.inference.files import NetworkFiles

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
PACKAGES = ("openvino",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[EnginePrecision, ...] = ("float32", "bfloat16")
HINTS: dict[EnginePrecision, str] = {"float32": "f32", "bfloat16": "bf16"}
"""By default OpenVINO computes in bfloat16 where the CPU supports it."""
RUNTIME_ERRORS = (RuntimeError, MemoryError)
MEMORY_MESSAGES = ("bad_alloc", "allocate", "not enough memory", "mmap")
"""Texts in the message of an error that insufficient memory caused, not the file."""


class OpenVinoEngine(TileByTile):
    """A compiled network with one input and one output."""

    def __init__(self, compiled: openvino.CompiledModel, info: EngineInfo) -> None:
        self.info = info
        self.tile_shape = tuple(compiled.input(0).shape)
        self._request = compiled.create_infer_request()

    def compute(self, tile: Array) -> Array:
        """Return the logits (K, [Z,] Y, X) of a tile (C, [Z,] Y, X); `MachineError` on failure."""
        with computing(self.info, tile, *RUNTIME_ERRORS):
            feed = {0: np.ascontiguousarray(tile)[None]}
            (logits,) = self._request.infer(feed, share_inputs=True)[0]
        return np.asarray(logits, np.float32)


def missing(precision: EnginePrecision) -> str | None:
    """Return whether the package or bfloat16 instructions (emulation is slower than float32) are missing."""
    if not find_spec("openvino"):
        return "OpenVINO is not installed; pip install openvino"
    if precision == "bfloat16" and not has_bfloat16():
        return f"{cpu_name()} has no instructions for bfloat16"
    return None


def load(files: NetworkFiles, precision: EnginePrecision) -> OpenVinoEngine:
    """Compile the ONNX file for this CPU.

    Raises as `onnx_of`, `ModelError` for a file that is not a valid network, `MachineError` when the
    processor lacks an instruction set or memory is too small.
    """
    import openvino

    path = onnx_of(files)
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


def _configuration(precision: EnginePrecision) -> dict[str, str | int | bool]:
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
