"""The options of `petct export` that concern GPUs and the size of the model folder."""

import argparse
from pathlib import Path
from typing import get_args

from common.errors import InputError
from common.inference.files import Carrier

TARGETS = ("all", "7.5", "default")
DEFORM = ("gather", "plugin")
WEIGHTS = ("float32", "float16")
NEEDS_TENSORRT = ("targets", "batch_mirrorings", "no_cpu", "carrier", "deform")
"""Options that change what `--tensorrt` does; one that is not given is `None`."""


def add_gpu_options(parser: argparse.ArgumentParser) -> None:
    """`--tensorrt` and what belongs to it."""
    group = parser.add_argument_group("GPUs", "No GPU is needed here. All but --cpu-weights need --tensorrt.")
    group.add_argument("--tensorrt", action="store_true", help="add engines for NVIDIA's GPUs, in float16")
    group.add_argument(
        "--targets",
        choices=TARGETS,
        help="GPUs: 7.5 (such as T4), default (8.0 and later), all (default: all)",
    )
    group.add_argument(
        "--batch-mirrorings",
        action="store_true",
        default=None,
        help="engines that can compute all mirrorings of a tile at once, too; takes more GPU memory",
    )
    group.add_argument(
        "--no-cpu",
        action="store_true",
        default=None,
        help="leave the ONNX files out: a smaller model that runs on GPUs alone",
    )
    group.add_argument(
        "--cpu-weights",
        choices=WEIGHTS,
        help="how the ONNX files store weights; float16 halves their size (default: float32)",
    )
    group.add_argument(
        "--carrier",
        choices=get_args(Carrier),
        help="library that builds and runs engines; the full tensorrt needs the GPU here and is unproven "
        "(default: tensorrt_rtx)",
    )
    group.add_argument(
        "--deform",
        choices=DEFORM,
        help="deformable convolutions in standard operators (gather) or by a kernel of this project (plugin) "
        "(default: gather)",
    )


def require_consistent(arguments: argparse.Namespace) -> None:
    """Raise `InputError` for options that do not go together, `MachineError` where TensorRT is missing."""
    given = [name for name in NEEDS_TENSORRT if getattr(arguments, name) is not None]
    if given and not arguments.tensorrt:
        option = f"--{given[0].replace('_', '-')}"
        raise InputError(
            f"{option}: found no --tensorrt, which it belongs to; add --tensorrt or leave it out"
        )
    if arguments.no_cpu and arguments.cpu_weights:
        raise InputError("--cpu-weights: found --no-cpu, which leaves these weights out; choose one")
    if arguments.carrier == "tensorrt" and arguments.targets:
        raise InputError(
            "--targets: the full tensorrt builds for the GPU that is here alone; leave --targets out"
        )
    if arguments.tensorrt:
        from common.export.tensorrt.carrier import require_library

        require_library(arguments.carrier or "tensorrt_rtx")


def compile_for_gpus(arguments: argparse.Namespace) -> None:
    """Add to the exported model folder, and take from it, what the options say; raises as the steps do."""
    folder: Path = arguments.model
    if arguments.tensorrt:
        from common.export.tensorrt.engines import EngineOptions, add_engines, targets_of

        carrier: Carrier = arguments.carrier or "tensorrt_rtx"
        options = EngineOptions(
            targets_of(carrier, arguments.targets or "all"),
            bool(arguments.batch_mirrorings),
            carrier,
            arguments.deform or "gather",
        )
        add_engines(folder, arguments.algorithm, options)
    if arguments.no_cpu:
        from common.export.cpu_files import remove_cpu_files

        remove_cpu_files(folder, arguments.algorithm)
    if arguments.cpu_weights == "float16":
        from common.export.cpu_files import store_cpu_weights_in_float16

        store_cpu_weights_in_float16(folder, arguments.algorithm)
