"""ONNX Runtime's default CPU provider: slower than the other backends, but available on every machine."""

from pathlib import Path

from common.inference.engines import Precision
from common.inference.engines.contract import Device, Engine, EngineInfo
from common.inference.engines.machine import cpu_name

NAME = "cpu"
PACKAGES = ("onnxruntime",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[Precision, ...] = ("float32",)


def missing(precision: Precision) -> str | None:
    """Return `None`: the package is a dependency of this project."""
    return None


def load(path: Path, precision: Precision) -> Engine:
    """Load an ONNX file; raises as `open_session` does."""
    import onnxruntime

    from common.inference.engines.onnxruntime_session import SessionEngine, open_session

    session = open_session(path, NAME, "CPUExecutionProvider", {})
    return SessionEngine(session, EngineInfo(NAME, cpu_name(), precision, onnxruntime.__version__))
