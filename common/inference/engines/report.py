"""What this machine can compute with, and what `auto` takes of it, for people to read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.inference.engines import EngineName, Precision, machine
from common.inference.engines.ladder import MODULES, Ladder, carrier, rungs


def describe_machine() -> Iterator[str]:
    """Processor, GPUs, driver and packages, a line each."""
    yield f"CPU: {machine.cpu_name()}"
    yield f"instruction sets: {', '.join(machine.instruction_sets()) or 'none that matter'}"
    yield f"GPU: {', '.join(machine.gpus()) or 'none is visible'}"
    yield f"driver: {machine.gpu_driver() or 'none'}"
    packages = dict.fromkeys(package for name in MODULES for package in carrier(name).PACKAGES)
    for package in packages:
        yield f"package {package}: {machine.package_version(package) or 'not installed'}"


def describe_rungs(engine: EngineName, precision: Precision) -> Iterator[str]:
    """Every rung that would be tried, in its order, and what it lacks; raises as `Ladder`."""
    for rung in rungs(engine, precision):
        yield f"{rung}: {carrier(rung.name).missing(rung.precision) or 'there'}"


def describe_trial(path: Path, engine: EngineName, precision: Precision) -> str:
    """The rung that has computed a tile of the ONNX file; the log tells of those that failed.

    Raises as `Ladder.load` and `TriedEngine.run`.
    """
    tried = Ladder(engine, precision).load(path)
    tried.run(np.zeros(tried.tile_shape, np.float32))
    return f"{path.name}: {tried.info}"
