"""A finished model folder's networks, compiled for GPUs: what `petct export --tensorrt` adds."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from common.errors import ModelError
from common.export.onnx.float16_error import measure_float16
from common.export.onnx.for_tensorrt import Deform, for_tensorrt
from common.export.tensorrt.batches import with_batches
from common.export.tensorrt.build import Built, Request, build
from common.export.tensorrt.carrier import AMPERE_AND_LATER, TURING, require_library
from common.export.tensorrt.cubins import write_cubins
from common.hashes import sha256_of
from common.inference.engines.carriers import library_of
from common.inference.files import Carrier, EngineFile
from common.inference.network import Fold, Network
from common.memory import GIB, MIB
from common.model.model import EXPORT_AGAIN, MODEL_FILE, Model
from common.model.reading import read_model
from common.model.writing import new_network_files, replace_networks

logger = logging.getLogger(__name__)

TARGETS = {"7.5": (TURING,), "default": (AMPERE_AND_LATER,), "all": (TURING, AMPERE_AND_LATER)}
"""What `--targets` may be."""
PROJECT_DOMAIN = "petct"
"""Of the operators that only this project's kernels compute."""


@dataclass(frozen=True)
class EngineOptions:
    """What to compile, and how."""

    targets: Sequence[str] = TARGETS["all"]
    batch_mirrorings: bool = False
    """Whether engines can compute all mirrorings of a tile at once, too."""
    carrier: Carrier = "tensorrt_rtx"
    deform: Deform = "gather"
    """What computes deformable convolutions."""


def add_engines(folder: Path, algorithm: str, options: EngineOptions | None = None) -> None:
    """Compile every fold of every network in a model folder, and describe the engines in its `model.json`.

    Works from the folder's ONNX files, without torch and without a GPU. Engines that the folder had are
    replaced. However it ends, the folder holds a model.

    Raises
    ------
    ModelError
        A folder that `read_model` refuses or that has no ONNX files, or a network that TensorRT cannot
        compile.
    MachineError
        TensorRT is not installed or ends unexpectedly, or the machine cannot write.

    """
    options = options or EngineOptions()
    require_library(options.carrier)
    start = time.monotonic()
    model = _without_engines(folder, read_model(folder, algorithm))
    with new_network_files(folder) as staging:
        compiler = _Compiler(staging, options)
        networks = tuple(compiler.compile(network) for network in model.networks)
        replace_networks(folder, staging, replace(model, networks=networks))
    logger.info(
        "compiled engines: %d, %.0f MiB, %.0f s",
        compiler.engines,
        compiler.bytes / MIB,
        time.monotonic() - start,
    )


def _without_engines(folder: Path, model: Model) -> Model:
    """The model with its ONNX files alone; the folder loses its engines, whose names new ones take."""
    for network in model.networks:
        for fold in network.folds:
            _onnx_of(fold)
    plain = replace(model, networks=tuple(_plain(network) for network in model.networks))
    if plain != model:
        with new_network_files(folder) as staging:
            replace_networks(folder, staging, plain)
    return plain


def _onnx_of(fold: Fold) -> Path:
    if fold.path is None:
        raise ModelError(f"{MODEL_FILE}: fold {fold.name} has no ONNX file to compile; {EXPORT_AGAIN}")
    return fold.path


def _plain(network: Network) -> Network:
    folds = tuple(replace(fold, engines=(), float16=None) for fold in network.folds)
    return replace(network, folds=folds, kernels=())


class _Compiler:
    """Compiles network after network into one folder."""

    def __init__(self, staging: Path, options: EngineOptions) -> None:
        self._staging, self._options = staging, options
        # First, because engines take long and the kernels' compiler may be missing.
        self._kernels = write_cubins(staging) if options.deform == "plugin" else ()
        self.engines = self.bytes = 0

    def compile(self, network: Network) -> Network:
        folds = tuple(
            self._compile_fold(network, fold, f"{network.name}, fold {number} of {len(network.folds)}")
            for number, fold in enumerate(network.folds, start=1)
        )
        plugin = any(engine.plugin for fold in folds for engine in fold.engines)
        return replace(network, folds=folds, kernels=self._kernels if plugin else ())

    def _compile_fold(self, network: Network, fold: Fold, progress: str) -> Fold:
        onnx, batches = _onnx_of(fold), self._batches(network)
        with TemporaryDirectory(dir=self._staging.parent, prefix=self._staging.name) as folder:
            path = Path(folder) / onnx.name
            plugin = _arrange(onnx, path, self._options.deform, batches)
            engines = tuple(
                self._compile_engine(path, target, batches, plugin, progress)
                for target in self._options.targets
            )
        float16 = measure_float16(onnx)
        logger.info(
            "%s: float16 changes the logits by %.1e of their standard deviation (root mean square)",
            progress,
            float16.relative_rms_difference,
        )
        return replace(fold, engines=engines, float16=float16)

    def _batches(self, network: Network) -> tuple[int, ...]:
        mirrorings = 2 ** len(network.mirror_axes) if self._options.batch_mirrorings else 1
        return (1, mirrorings) if mirrorings > 1 else (1,)

    def _compile_engine(
        self, onnx: Path, target: str, batches: tuple[int, ...], plugin: bool, progress: str
    ) -> EngineFile:
        staged = self._staging / f"{onnx.stem}.engine"
        built = build(Request(onnx, staged, self._options.carrier, target, batches, plugin))
        path = self._staging / engine_name(onnx.stem, built.target)
        staged.rename(path)
        size = path.stat().st_size
        self.engines, self.bytes = self.engines + 1, self.bytes + size
        _log(progress, built, size)
        return EngineFile(
            path,
            self._options.carrier,
            built.version,
            built.target,
            "float16",
            batches,
            built.activation_memory,
            sha256_of(path),
            plugin,
        )


def _arrange(onnx: Path, destination: Path, deform: Deform, batches: Sequence[int]) -> bool:
    """Write a network as TensorRT should get it; return whether it calls a kernel of this project."""
    rounded = for_tensorrt(ir.load(onnx), deform)
    ir.save(with_batches(rounded, onnx.name) if len(batches) > 1 else rounded, destination)
    return any(node.domain == PROJECT_DOMAIN for node in rounded.graph)


def targets_of(carrier: Carrier, choice: str) -> tuple[str, ...]:
    """The targets that `--targets` stands for; one, whatever its name, where the carrier has no choice."""
    return TARGETS[choice] if library_of(carrier).chooses_target else TARGETS["default"]


def engine_name(network: str, target: str) -> str:
    """File name of an engine: `segmentation_fold_0.sm80plus.engine`."""
    return f"{network}.sm{target.replace('.', '').replace('+', 'plus')}.engine"


def _log(progress: str, built: Built, size: int) -> None:
    logger.info(
        "%s: engine for compute capability %s, %.0f MiB, %.2f GiB of GPU memory for activations, "
        "%.0f s, %.2f GiB of memory here",
        progress,
        built.target,
        size / MIB,
        built.activation_memory / GIB,
        built.seconds,
        built.peak_memory / GIB,
    )
