"""Compile one ONNX file into one engine file, in a process of its own.

`python -m common.export.tensorrt.build` reads a `Request` as JSON on stdin and writes a `Built` as JSON on
stdout. The process is needed for three reasons: TensorRT ends it on some failures, what it allocates is freed
with it, and plugins need a link to the library on the loader's path, which counts when a process starts.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic.dataclasses import dataclass

from common.documents import STRICT, decode, plain
from common.errors import MachineError, ModelError, PetctError
from common.export.tensorrt.carrier import AMPERE_AND_LATER, link_library
from common.export.tensorrt.failures import explain_build, explain_parsing
from common.inference.engines import deform_im2col3d
from common.inference.engines.carriers import import_library, library_of
from common.inference.files import Carrier
from common.memory import peak_memory

ACTIVATIONS = "Total Activation Memory: "
"""Line of TensorRT's log that precedes the bytes: an engine tells them only once a GPU has loaded it."""
REMEDY = "leave --tensorrt out to export for the CPU engines alone"


@dataclass(frozen=True, config=STRICT)
class Request:
    """What to compile, and for what."""

    onnx: Path
    """Explicitly typed, with one input; see `common.export.onnx.for_tensorrt`."""
    engine: Path
    """File to write."""
    carrier: Carrier
    target: str
    """See `common.inference.files.EngineFile`."""
    batches: tuple[int, ...] = (1,)
    """Numbers of tiles, one profile each; for more than one the file's first axis is symbolic."""
    plugin: bool = False
    """Whether the file calls the deformable convolution's own kernel."""


@dataclass(frozen=True, config=STRICT)
class Built:
    """What the building took and gave."""

    version: str
    """Of the carrier."""
    target: str
    """As requested, or the capability of the GPU that is there, where the carrier builds for no other."""
    activation_memory: int
    """Bytes of GPU memory for the largest batch, without weights, input and output."""
    seconds: float
    peak_memory: int
    """Bytes of this machine's memory that the process took."""


def build(request: Request) -> Built:
    """Compile in a process of its own.

    Raises `ModelError` where TensorRT cannot compile the network, naming the layer, and `MachineError` where
    the process ends otherwise.
    """
    with TemporaryDirectory(prefix="petct-") as folder:
        link_library(request.carrier, Path(folder))
        path = os.pathsep.join(filter(None, (folder, os.environ.get("LD_LIBRARY_PATH"))))
        process = subprocess.run(
            [sys.executable, "-m", "common.export.tensorrt.build"],
            input=json.dumps(plain(request)),
            capture_output=True,
            text=True,
            env={**os.environ, "LD_LIBRARY_PATH": path},
        )
    if process.returncode == 0:
        return decode(Built, process.stdout.splitlines()[-1])
    reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
    if process.returncode == ModelError.exit_code:
        raise ModelError(reason)
    raise MachineError(
        f"{request.onnx.name}: TensorRT ends with status {process.returncode} when it compiles for "
        f"{request.target} ({reason}); give the machine more memory, or {REMEDY}"
    )


def compile_engine(request: Request) -> Built:
    """Compile in this process; `ModelError` naming the layer that cannot be compiled."""
    start = time.monotonic()
    trt = import_library(library_of(request.carrier))
    creator = deform_im2col3d.register(trt) if request.plugin else None  # held until the engine is built
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(request.onnx)):
        raise ModelError(f"{request.onnx.name}: {explain_parsing(parser)}; {REMEDY}")
    config = builder.create_builder_config()
    target = _choose_target(trt, config, request)
    _add_profiles(builder, config, network, request.batches)
    engine = builder.build_serialized_network(network, config)
    del creator
    if engine is None:
        raise ModelError(
            f"{request.onnx.name}: {explain_build(network, logger.errors, request.target)}; {REMEDY}"
        )
    try:
        request.engine.write_bytes(engine)
    except OSError as error:
        raise MachineError(
            f"{request.engine}: cannot be written ({error.strerror}); free some space"
        ) from error
    return Built(trt.__version__, target, logger.activation_memory, time.monotonic() - start, peak_memory())


def _logger(trt: Any) -> Any:
    """A TensorRT logger that keeps the errors and the largest activation memory; silent otherwise."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.activation_memory = 0

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)
            if message.startswith(ACTIVATIONS):
                found = int(message.removeprefix(ACTIVATIONS).split()[0])
                self.activation_memory = max(self.activation_memory, found)

    return Log()


def _choose_target(trt: Any, config: Any, request: Request) -> str:
    """Set the compute capability where the carrier can; the target that the engine will have."""
    if not library_of(request.carrier).chooses_target:
        return _present_capability()
    if request.target != AMPERE_AND_LATER:
        config.num_compute_capabilities = 1
        name = f"SM{request.target.replace('.', '')}"
        config.set_compute_capability(getattr(trt.ComputeCapability, name), 0)
    return request.target


def _present_capability() -> str:
    """The compute capability of the first GPU, such as `"7.0"`; `MachineError` where there is none."""
    from cuda.bindings import runtime

    failure, properties = runtime.cudaGetDeviceProperties(0)
    if int(failure):
        raise MachineError(
            f"no GPU is found ({failure.name}), and the full TensorRT builds only for one that is there; "
            "leave --carrier out"
        )
    return f"{properties.major}.{properties.minor}"


def _add_profiles(builder: Any, config: Any, network: Any, batches: tuple[int, ...]) -> None:
    """One profile per number of tiles; none for a network of one tile, whose shape is fixed."""
    if batches == (1,):
        return
    tiles = network.get_input(0)
    for batch in batches:
        shape = (batch, *tuple(tiles.shape)[1:])
        profile = builder.create_optimization_profile()
        profile.set_shape(tiles.name, shape, shape, shape)
        config.add_optimization_profile(profile)


def main() -> int:
    """The child's side of `build`."""
    try:
        built = compile_engine(decode(Request, sys.stdin.read(), "request"))
    except PetctError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"\n{json.dumps(plain(built))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
