"""Report for users: the hardware and packages of this machine, and the engines that can be used."""

from collections.abc import Iterator

import numpy as np

from common.errors import MachineError
from common.inference.engines import EngineName, Precision, machine
from common.inference.engines.carriers import installed_libraries
from common.inference.engines.cuda import find_gpu
from common.inference.engines.engine_files import fitting_engine
from common.inference.engines.gpu import dotted
from common.inference.engines.ladder import MODULES, Ladder, Rung, backend, rungs
from common.inference.files import NetworkFiles
from common.memory import GIB

COMPILED = Rung("tensorrt", "float16")


def describe_machine() -> Iterator[str]:
    """Yield processor, GPUs, driver and packages, one line each."""
    yield f"CPU: {machine.cpu_name()}"
    yield f"instruction sets: {', '.join(machine.instruction_sets()) or 'none that matter'}"
    yield f"GPU: {', '.join(machine.gpus()) or 'none is visible'}"
    yield f"driver: {machine.gpu_driver() or 'none'}"
    yield f"CUDA: {_state(COMPILED) or _gpu()}"
    packages = dict.fromkeys(package for name in MODULES for package in backend(name).PACKAGES)
    for package in packages:
        yield f"package {package}: {machine.package_version(package) or 'not installed'}"


def describe_rungs(engine: EngineName, precision: Precision) -> Iterator[str]:
    """Yield every rung in the order of trial, with what it lacks; raises as `Ladder` does."""
    for rung in rungs(engine, precision):
        yield f"{rung}: {_state(rung) or 'there'}"


def describe_fitting(files: NetworkFiles) -> str:
    """Return which of a network's compiled engines fits the GPU, or why none does."""
    if reason := _state(COMPILED):
        return f"{files.name}: no compiled engine is used: {reason}"
    libraries = {library.carrier: library for library in installed_libraries()}
    try:
        engine, _ = fitting_engine(files, find_gpu(), libraries)
    except MachineError as error:
        return str(error)
    return f"{engine.path.name}: fits the GPU"


def _gpu() -> str:
    gpu = find_gpu()
    memory = f"{gpu.memory / GIB:.1f} GiB"
    return (
        f"{gpu.name}, compute capability {gpu.capability_name}, {memory}, driver for CUDA {dotted(gpu.cuda)}"
    )


def _state(rung: Rung) -> str | None:
    """Return why the rung cannot be used, `None` if it can."""
    try:
        return backend(rung.name).missing(rung.precision)
    except MachineError as error:
        return str(error)


def describe_trial(files: NetworkFiles, engine: EngineName, precision: Precision) -> str:
    """Return the rung that computes a tile of the network; those that fail are logged.

    Raises as `Ladder.load` and `TriedEngine.run` do.
    """
    tried = Ladder(engine, precision).load(files)
    tried.run(np.zeros(tried.tile_shape, np.float32))
    return f"{files.name}: {tried.info}"
