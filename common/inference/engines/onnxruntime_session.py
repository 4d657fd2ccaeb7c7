"""An ONNX file in a session of ONNX Runtime, whatever the provider."""

from collections.abc import Mapping
from pathlib import Path

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

from common.inference.engines.contract import EngineInfo, cannot_load, computing, fails_to_load
from common.inference.engines.machine import rationed_cores

# Patients' data are no matter for a library's statistics, and there is no network to send them over.
ort.disable_telemetry_events()

OF_THE_FILE = (InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, NoSuchOperator)
"""What ONNX Runtime raises for a file that it does not take, whatever the machine."""
FAILURES = (EPFail, Fail, RuntimeException, RuntimeError, MemoryError)
"""What it raises when something goes wrong; mostly memory ran out."""
OF_THE_MACHINE = ("bad_alloc", "CUDA failure")
"""What a `Fail` says that is not about the file."""


class SessionEngine:
    """A session with one input and one output."""

    def __init__(self, session: ort.InferenceSession, info: EngineInfo) -> None:
        self.info = info
        self._session = session
        self._input = session.get_inputs()[0]
        self._output = session.get_outputs()[0].name

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """(B, C, [Z,] Y, X)."""
        return tuple(self._input.shape)

    def run(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, K, [Z,] Y, X) of tiles (B, C, [Z,] Y, X); `MachineError` where that fails."""
        with computing(self.info, tiles, InvalidArgument, *FAILURES):
            (logits,) = self._session.run([self._output], {self._input.name: tiles})
        return np.asarray(logits, np.float32)


def open_session(path: Path, name: str, provider: str, options: Mapping[str, str]) -> ort.InferenceSession:
    """A session on that provider alone.

    Raises `ModelError` for a file that is no network, `MachineError` when loading fails otherwise. Where the
    provider finds no device, ONNX Runtime gives a session without it.
    """
    session_options = ort.SessionOptions()
    session_options.log_severity_level = 3
    if threads := rationed_cores():
        # ONNX Runtime counts the machine's cores; more threads than the ration slow each other down.
        session_options.intra_op_num_threads = threads
    providers = [(provider, dict(options))]
    try:
        return ort.InferenceSession(path, session_options, providers=providers, enable_fallback=False)
    except (*OF_THE_FILE, *FAILURES) as error:
        if _tells_of_the_file(error):
            raise cannot_load(name, path, error) from error
        raise fails_to_load(name, path, error) from error


def _tells_of_the_file(error: Exception) -> bool:
    about_machine = any(text in str(error) for text in OF_THE_MACHINE)
    return isinstance(error, OF_THE_FILE) or (isinstance(error, Fail) and not about_machine)
