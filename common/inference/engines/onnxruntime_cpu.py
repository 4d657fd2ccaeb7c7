"""ONNX Runtime's own CPU provider: slower than others, and there on every machine."""

from pathlib import Path

from common.inference.engines import Precision
from common.inference.engines.contract import Device, Engine, EngineInfo
from common.inference.engines.machine import cpu_name

NAME = "cpu"
PACKAGES = ("onnxruntime",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[Precision, ...] = ("float32",)


def missing(precision: Precision) -> str | None:
    """Nothing: the package is one of this project's own needs."""
    return None


def load(path: Path, precision: Precision) -> Engine:
    """The ONNX file in a session; raises `ModelError` or `MachineError` as `open_session` does."""
    import onnxruntime

    from common.inference.engines.onnxruntime_session import SessionEngine, open_session

    session = open_session(path, NAME, "CPUExecutionProvider", {})
    return SessionEngine(session, EngineInfo(NAME, cpu_name(), precision, onnxruntime.__version__))
