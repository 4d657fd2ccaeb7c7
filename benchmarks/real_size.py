"""The published networks' sizes on this machine: export, and a tile on every engine that there is.

python benchmarks/real_size.py [ALGORITHM ...] [--folds N]
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.clinical import SHAPE, SPACING
from benchmarks.paired import GIB, Measurement, timed
from benchmarks.real_checkpoints import WRITERS
from benchmarks.scenario import FOLDER as BENCHMARKS
from common.errors import PetctError
from common.inference.engines import EngineName, Precision, machine
from common.inference.engines.ladder import backend, make_engine, rungs
from common.inference.network import Network
from common.inference.schedule import all_mirrorings
from common.inference.tiles import TileGrid
from common.memory import peak_memory
from common.model.model import Model
from common.model.reading import read_model
from common.nnunet.resample import resampled_shape

FOLDER = BENCHMARKS / "real_size"
FOLDS = {"autopet_interactive": 10, "gepnet": 5, "l2snet": 5}
TILES = 3
"""Timed, after a first on which memory is laid out."""
LONG_ENOUGH = 60
"""Seconds after which no further tile is timed."""
SAMPLED_EVERY = 0.05


@dataclass(frozen=True)
class Export:
    """What one export took."""

    seconds: float
    peak: int
    """Bytes of the process and its children together."""
    file_size: int
    """Bytes of one fold's ONNX file."""


def export(algorithm: str, folds: int) -> tuple[Export, Model]:
    folder = FOLDER / algorithm
    shutil.rmtree(folder, ignore_errors=True)
    WRITERS[algorithm](folder / "checkpoint", folds)
    command = [sys.executable, "-m", "common.cli.main", "export", algorithm]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--checkpoint", str(folder / "checkpoint"), "--model", str(folder / "model")]
    )
    peak = _watch(process)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the export of {algorithm} failed")
    shutil.rmtree(folder / "checkpoint")
    model = read_model(folder / "model", algorithm)
    return Export(seconds, peak, _onnx(model.network("segmentation")).stat().st_size), model


def _onnx(network: Network) -> Path:
    path = network.folds[0].path
    assert path
    return path


def _watch(process: subprocess.Popen[bytes]) -> int:
    """The most memory that the process and its children held together; returns when it ends."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)))
        time.sleep(SAMPLED_EVERY)
    return peak


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:  # ended meanwhile
            continue
        for child in children:
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):  # ended meanwhile
        return 0


def tile_on(path: Path, engine: EngineName, precision: Precision) -> Measurement | str:
    """One tile in a process of its own, or why that fails."""
    command = [sys.executable, __file__, "--tile", str(path), engine, precision]
    ended = subprocess.run(command, capture_output=True, text=True)
    lines = (ended.stdout if ended.returncode == 0 else ended.stderr).splitlines() or ["no message"]
    return Measurement(**json.loads(lines[-1])) if ended.returncode == 0 else lines[-1]


def measure_tile(path: Path, engine: EngineName, precision: Precision) -> Measurement:
    made = make_engine(path, engine=engine, precision=precision)
    tile = np.random.default_rng(0).standard_normal(made.tile_shape, np.float32)
    made.run(tile)
    seconds: list[float] = []
    while len(seconds) < TILES and sum(seconds) < LONG_ENOUGH:
        seconds.append(timed(lambda: made.run(tile)))
    return Measurement(median(seconds), peak_memory())


def tiles_of_a_clinical_case(network: Network) -> int:
    """Tiles of a case whose field of view has nothing to crop."""
    plans = network.nnunet_plans
    shape = resampled_shape(SHAPE, SPACING, plans.spacing)
    return len(TileGrid(shape, plans.patch))


def report(algorithm: str, folds: int) -> None:
    exported, model = export(algorithm, folds)
    network = model.network("segmentation")
    count, passes = tiles_of_a_clinical_case(network), folds * len(all_mirrorings(network.mirror_axes))
    gib, mib = exported.peak / GIB, exported.file_size / 2**20
    print(f"\n{algorithm}: {folds} folds exported in {exported.seconds:.0f} s, {gib:.1f} GiB")
    print(f"{mib:.0f} MiB each; tiles of {network.patch}, {count} in a clinical case; {passes} passes in all")
    print(f"{'':24}{'s/tile':>10}{'peak GiB':>10}{'one pass':>12}{'all passes':>12}")
    for rung in rungs("auto", "bfloat16"):
        name = f"{rung.name}, {rung.precision}"
        if rung.precision == "float16":  # benchmarks/gpu.py times compiled engines
            continue
        if reason := backend(rung.name).missing(rung.precision):
            print(f"{name:24}{reason}")
            continue
        tile = tile_on(_onnx(network), rung.name, rung.precision)
        if isinstance(tile, str):
            print(f"{name:24}{tile}")
            continue
        one = tile.seconds * count / 60
        print(
            f"{name:24}{tile.seconds:10.2f}{tile.peak / GIB:10.2f}{one:8.1f} min{one * passes / 60:10.1f} h",
            flush=True,
        )
    shutil.rmtree(FOLDER / algorithm)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", help=f"{', '.join(WRITERS)} (all)")
    parser.add_argument("--folds", type=int, help="of each checkpoint (as published)")
    parser.add_argument("--tile", nargs=3, metavar=("FILE", "ENGINE", "PRECISION"), help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.tile:
        path, engine, precision = parsed.tile
        try:
            print(json.dumps(vars(measure_tile(Path(path), engine, precision))))
        except PetctError as error:
            sys.exit(str(error))
        return
    print(f"CPU: {machine.cpu_name()}, {', '.join(machine.instruction_sets())}", flush=True)
    for algorithm in parsed.algorithms or WRITERS:
        report(algorithm, parsed.folds or FOLDS[algorithm])


if __name__ == "__main__":
    main()
