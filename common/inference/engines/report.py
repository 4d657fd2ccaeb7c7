"""Report for users: the hardware and packages of this machine, and the engines that can be used."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.inference.engines import EngineName, Precision, machine
from common.inference.engines.ladder import MODULES, Ladder, backend, rungs


def describe_machine() -> Iterator[str]:
    """Yield processor, GPUs, driver and packages, one line each."""
    yield f"CPU: {machine.cpu_name()}"
    yield f"instruction sets: {', '.join(machine.instruction_sets()) or 'none that matter'}"
    yield f"GPU: {', '.join(machine.gpus()) or 'none is visible'}"
    yield f"driver: {machine.gpu_driver() or 'none'}"
    packages = dict.fromkeys(package for name in MODULES for package in backend(name).PACKAGES)
    for package in packages:
        yield f"package {package}: {machine.package_version(package) or 'not installed'}"


def describe_rungs(engine: EngineName, precision: Precision) -> Iterator[str]:
    """Yield every rung in the order of trial, with what it lacks; raises as `Ladder` does."""
    for rung in rungs(engine, precision):
        yield f"{rung}: {backend(rung.name).missing(rung.precision) or 'there'}"


def describe_trial(path: Path, engine: EngineName, precision: Precision) -> str:
    """Return the rung that computes a tile of the ONNX file; those that fail are logged.

    Raises as `Ladder.load` and `TriedEngine.run` do.
    """
    tried = Ladder(engine, precision).load(path)
    tried.run(np.zeros(tried.tile_shape, np.float32))
    return f"{path.name}: {tried.info}"
