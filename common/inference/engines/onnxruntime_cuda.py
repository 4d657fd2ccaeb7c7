"""ONNX Runtime's CUDA provider."""

from common.inference.engines.contract import (
    Device,
    Engine,
    EngineInfo,
    EngineMissingError,
    EnginePrecision,
    onnx_of,
)
from common.inference.engines.machine import gpus, package_version
from common.inference.files import NetworkFiles

NAME = "cuda"
PACKAGES = ("onnxruntime-gpu",)
DEVICE: Device = "gpu"
PRECISIONS: tuple[EnginePrecision, ...] = ("float32",)
PROVIDER = "CUDAExecutionProvider"


def missing(precision: EnginePrecision) -> str | None:
    """Return why no GPU can be used, `None` if one can."""
    if not gpus():
        return "no NVIDIA GPU is visible; run the container with --gpus all"
    if not package_version(PACKAGES[0]):
        return f"ONNX Runtime's GPU build is not installed; pip install {PACKAGES[0]}"
    return None


def load(files: NetworkFiles, precision: EnginePrecision) -> Engine:
    """Load the ONNX file.

    Raises `EngineMissingError` where the provider finds no usable GPU, otherwise as `onnx_of` and
    `open_session` do.
    """
    import onnxruntime

    from common.inference.engines.onnxruntime_session import SessionEngine, open_session

    # The libraries in NVIDIA's wheels are not on the loader's path.
    onnxruntime.preload_dlls()
    # By default the GPU multiplies in TensorFloat-32, with 10 mantissa bits instead of float32's 23.
    session = open_session(onnx_of(files), NAME, PROVIDER, {"use_tf32": "0"})
    if PROVIDER not in session.get_providers():
        raise EngineMissingError(
            "ONNX Runtime finds no GPU that it can use; run the container with --gpus all, or choose "
            "another --engine"
        )
    return SessionEngine(
        session, EngineInfo(NAME, gpus()[0], precision, package_version(PACKAGES[0]) or "unknown")
    )
