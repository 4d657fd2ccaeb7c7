"""ONNX Runtime's default CPU provider: slower than the other backends, but available on every machine."""

from common.inference.engines.contract import Device, Engine, EngineInfo, EnginePrecision, onnx_of
from common.inference.engines.machine import cpu_name
from common.inference.files import NetworkFiles

NAME = "cpu"
PACKAGES = ("onnxruntime",)
DEVICE: Device = "cpu"
PRECISIONS: tuple[EnginePrecision, ...] = ("float32",)


def missing(precision: EnginePrecision) -> str | None:
    """Return `None`: the package is a dependency of this project."""
    return None


def load(files: NetworkFiles, precision: EnginePrecision) -> Engine:
    """Load the ONNX file; raises as `onnx_of` and `open_session` do."""
    import onnxruntime

    from common.inference.engines.onnxruntime_session import SessionEngine, open_session

    session = open_session(onnx_of(files), NAME, "CPUExecutionProvider", {})
    return SessionEngine(session, EngineInfo(NAME, cpu_name(), precision, onnxruntime.__version__))
