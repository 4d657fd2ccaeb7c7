"""ONNX Runtime sessions, common to all execution providers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
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

from common.inference.engines.contract import (
    Array,
    EngineInfo,
    TileByTile,
    cannot_load,
    computing,
    fails_to_load,
)
from common.inference.engines.machine import effective_quota

# No usage data leave a machine that holds patient data; the platform has no network connection anyway.
ort.disable_telemetry_events()

FILE_ERRORS = (InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, NoSuchOperator)
"""Raised by ONNX Runtime for a file that it rejects on every machine."""
RUNTIME_ERRORS = (EPFail, Fail, RuntimeException, RuntimeError, MemoryError)
"""Raised by ONNX Runtime for other failures, usually because memory is too small."""
MACHINE_MESSAGES = ("bad_alloc", "CUDA failure")
"""Texts in the message of a `Fail` that the machine caused, not the file."""


class SessionEngine(TileByTile):
    """A session with one input and one output."""

    def __init__(self, session: ort.InferenceSession, info: EngineInfo) -> None:
        self.info = info
        self._session = session
        self._input = session.get_inputs()[0]
        self._output = session.get_outputs()[0].name

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Input shape (1, C, [Z,] Y, X)."""
        return tuple(self._input.shape)

    def compute(self, tile: Array) -> Array:
        """Return the logits (K, [Z,] Y, X) of a tile (C, [Z,] Y, X); `MachineError` on failure."""
        with computing(self.info, tile, InvalidArgument, *RUNTIME_ERRORS):
            feed = {self._input.name: np.ascontiguousarray(tile)[None]}
            ((logits,),) = self._session.run([self._output], feed)
        return np.asarray(logits, np.float32)


def open_session(path: Path, name: str, provider: str, options: Mapping[str, str]) -> ort.InferenceSession:
    """Open a session on one provider, without fallback.

    Raises `ModelError` for a file that is not a valid network, `MachineError` for any other failure. Where
    the provider finds no device, ONNX Runtime still returns a session, without that provider.
    """
    session_options = ort.SessionOptions()
    session_options.log_severity_level = 3
    if threads := effective_quota():
        # ONNX Runtime counts the machine's cores; more threads than the quota allows slow each other down.
        session_options.intra_op_num_threads = threads
    providers = [(provider, dict(options))]
    try:
        return ort.InferenceSession(path, session_options, providers=providers, enable_fallback=False)
    except (*FILE_ERRORS, *RUNTIME_ERRORS) as error:
        if _is_file_error(error):
            raise cannot_load(name, path, error) from error
        raise fails_to_load(name, path, error) from error


def _is_file_error(error: Exception) -> bool:
    about_machine = any(text in str(error) for text in MACHINE_MESSAGES)
    return isinstance(error, FILE_ERRORS) or (isinstance(error, Fail) and not about_machine)
