"""Everything that only a GPU can show, in one table: engines against torch, and a whole clinical case.

python benchmarks/gpu.py [ALGORITHM ...] [--folds N] [--output FILE]

Needs torch's CUDA build; `tests/gpu/run.sh --benchmark` makes an environment that has it. Networks are of the
published sizes, with random weights. Seconds include the copies to the GPU and back, for torch as for petct.
`--device cpu` tries the script itself where there is no GPU.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.clinical import SHAPE, SPACING
from benchmarks.paired import timed
from benchmarks.real_checkpoints import WRITERS
from benchmarks.real_size import FOLDS
from benchmarks.scenario import FOLDER as BENCHMARKS
from benchmarks.torch_networks import LOADERS
from common.case import Case
from common.demo.phantom.phantom import make_phantom
from common.export.tensorrt.cubins import write_cubins
from common.geometry import Geometry
from common.inference.engines import EngineName, machine
from common.inference.engines.cuda import open_gpu
from common.inference.engines.deform_im2col3d import Precision, Sampling, load_im2col
from common.inference.engines.ladder import Ladder
from common.inference.engines.pool import EnginePool
from common.inference.network import Network
from common.inference.options import Options
from common.model.model import Model
from common.model.reading import read_model
from containers.autopet_interactive.algorithm import segment

FOLDER = BENCHMARKS / "gpu"
TILES = 10
"""Timed, after `WARM_UP` on which kernels are compiled and chosen."""
WARM_UP = 3
MARGINS = (0, 1e-3, 1e-2)
"""Of the logits' standard deviation: voxels are counted that flip although float32 was surer than that."""

DEFORMED, CHANNELS = (64, 64, 64), 32
"""Voxels (z, y, x) and channels of the deformable convolution whose kernel is timed."""
PRECISIONS: dict[Precision, torch.dtype] = {"float32": torch.float32, "float16": torch.float16}

Device = Literal["cuda", "cpu"]
ENGINES: dict[Device, EngineName] = {"cuda": "tensorrt", "cpu": "auto"}

Logits = NDArray[np.float32]
Run = Callable[[NDArray[np.float32]], Logits]


@dataclass(frozen=True)
class Row:
    """One way to compute a network."""

    network: str
    way: str
    seconds: float
    dice: float
    flipped: tuple[float, ...]
    """Fraction of the voxels, for each of `MARGINS`."""

    def __str__(self) -> str:
        flipped = " | ".join(f"{fraction:.1e}" for fraction in self.flipped)
        return f"| {self.network} | {self.way} | {self.seconds * 1000:.0f} | {self.dice:.5f} | {flipped} |"


def export(algorithm: str, folds: int) -> Model:
    """Write a checkpoint and export it with engines, unless that was done before; the checkpoint stays."""
    folder = FOLDER / algorithm
    if not (folder / "model" / "model.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        WRITERS[algorithm](folder / "checkpoint", folds)
        command = [sys.executable, "-m", "common.cli.main", "export", algorithm, "--tensorrt"]
        paths = ["--checkpoint", str(folder / "checkpoint"), "--model", str(folder / "model")]
        subprocess.run([*command, *paths], check=True)
    return read_model(folder / "model", algorithm)


def ways(network: Network, by_torch: torch.nn.Module, device: Device) -> Iterator[tuple[str, Run]]:
    """Every way to compute a network, the reference first; one is on the device at a time."""
    by_torch = by_torch.to(device).eval()
    yield "torch, float32", from_host(by_torch, device, half=False)
    yield "torch, autocast", from_host(by_torch, device)
    yield "torch, autocast, channels last", from_host(_channels_last(by_torch, network), device)
    yield "torch, autocast, compiled", from_host(torch.compile(by_torch), device)
    by_torch.to("cpu")
    torch.cuda.empty_cache()
    yield "petct", Ladder(ENGINES[device]).load(network.files(network.folds[0])).run


def from_host(network: Callable[[torch.Tensor], torch.Tensor], device: Device, *, half: bool = True) -> Run:
    """The network in torch, with tiles that come from the host and logits that go back."""

    def run(tiles: NDArray[np.float32]) -> Logits:
        with torch.inference_mode(), torch.autocast(device, torch.float16, enabled=half):
            return network(torch.from_numpy(tiles).to(device)).float().cpu().numpy()

    return run


def _channels_last(by_torch: torch.nn.Module, network: Network) -> torch.nn.Module:
    layout = torch.channels_last_3d if len(network.patch) == 3 else torch.channels_last
    for parameter in by_torch.parameters():
        if parameter.ndim == len(network.patch) + 2:
            parameter.data = parameter.data.to(memory_format=layout)
    return by_torch


def compare_ways(
    algorithm: str, network: Network, by_torch: torch.nn.Module, device: Device
) -> Iterator[Row]:
    """Time every way and compare its logits with float32's."""
    shape = (1, len(network.channels), *network.patch)
    tiles = np.random.default_rng(0).standard_normal(shape, np.float32)
    reference: Logits | None = None
    for way, run in ways(network, by_torch, device):
        for _ in range(WARM_UP):
            logits = run(tiles)
        reference = logits if reference is None else reference
        seconds = median(timed(partial(run, tiles)) for _ in range(TILES))
        name = f"{algorithm}, {network.name}"
        yield Row(name, way, seconds, dice(reference, logits), flipped(reference, logits))


def dice(expected: Logits, found: Logits) -> float:
    """Of everything that is not background."""
    a, b = expected.argmax(1) != 0, found.argmax(1) != 0
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


def flipped(expected: Logits, found: Logits) -> tuple[float, ...]:
    """The fraction of voxels that change class, though float32's margin was above each of `MARGINS`."""
    highest = np.partition(expected, -2, axis=1)
    margin = (highest[:, -1] - highest[:, -2]) / expected.std()
    changed = expected.argmax(1) != found.argmax(1)
    return tuple(float((changed & (margin >= least)).mean()) for least in MARGINS)


def clinical_case(model: Model, device: Device) -> str:
    """All folds in all mirrorings of a clinical case, from images in memory to the mask."""
    phantom = make_phantom(0, SHAPE, SPACING)
    geometry = Geometry(SHAPE[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    case = Case({"ct": phantom.ct, "pet": phantom.pet}, geometry, "phantom")
    folds, axes = len(model.networks[0].folds), len(model.networks[0].mirror_axes)
    start = time.perf_counter()
    segment(case, model, Options(EnginePool(ENGINES[device])))
    seconds = time.perf_counter() - start
    return f"A clinical case ({SHAPE}), {folds} folds, {2**axes} mirrorings: {seconds:.0f} s"


def kernel_bandwidth() -> Iterator[str]:
    """The deformable convolution's kernel: bytes that it must move in a second, against a copy on the GPU."""
    gpu = open_gpu()
    with TemporaryDirectory() as folder:
        im2col = load_im2col(gpu, write_cubins(Path(folder)), gpu.info.capability)
    sampling = Sampling((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
    yield "| kernel | ms | GB/s | of a copy's GB/s |"
    yield "|---|---|---|---|"
    for precision, kind in PRECISIONS.items():
        volume, offset, columns = (
            torch.randn(1, channels, *DEFORMED, device="cuda", dtype=kind)
            for channels in (CHANNELS, 3 * sampling.taps, CHANNELS * sampling.taps)
        )
        shapes, addresses = (volume.shape, offset.shape), (volume.data_ptr(), offset.data_ptr())
        stream = torch.cuda.current_stream().cuda_stream
        launch = partial(im2col.launch, sampling, *shapes, precision, *addresses, columns.data_ptr(), stream)
        seconds, copied = on_device(launch), on_device(partial(torch.empty_like(columns).copy_, columns))
        rate = sum(tensor.nbytes for tensor in (volume, offset, columns)) / seconds / 1e9
        copy_rate = 2 * columns.nbytes / copied / 1e9
        share = f"{rate / copy_rate:.0%} of {copy_rate:.0f}"
        yield f"| {precision} | {seconds * 1000:.2f} | {rate:.0f} | {share} |"


def on_device(work: Callable[[], object]) -> float:
    """Median seconds of work on torch's stream, without the calls that start it."""

    def once() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000

    return median([once() for _ in range(WARM_UP + TILES)][WARM_UP:])


def report(algorithms: Sequence[str], folds: int | None, device: Device) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    yield f"GPU: {', '.join(machine.gpus()) or 'none'}; driver: {machine.gpu_driver() or 'none'}"
    yield f"CPU: {machine.cpu_name()}"
    yield f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    yield ""
    yield "| network | computed by | ms a tile | Dice | flipped | beyond 0.1 % | beyond 1 % |"
    yield "|---|---|---|---|---|---|---|"
    models = {}
    for algorithm in algorithms:
        models[algorithm] = export(algorithm, folds or FOLDS[algorithm])
        by_torch = LOADERS[algorithm](FOLDER / algorithm / "checkpoint")
        for network in models[algorithm].networks:
            yield from map(str, compare_ways(algorithm, network, by_torch[network.name], device))
    if device == "cuda":
        yield ""
        yield from kernel_bandwidth()
    if "autopet_interactive" in models:
        yield ""
        yield clinical_case(models["autopet_interactive"], device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", help=f"{', '.join(WRITERS)} (all)")
    parser.add_argument("--folds", type=int, help="of each checkpoint (as published)")
    parser.add_argument("--output", type=Path, default=FOLDER / "table.md", help="(default: %(default)s)")
    parser.add_argument("--device", choices=ENGINES, default="cuda", help="(default: %(default)s)")
    parsed = parser.parse_args()
    if parsed.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU: run tests/gpu/run.sh --benchmark on a machine with one")
    parsed.output.parent.mkdir(parents=True, exist_ok=True)
    with parsed.output.open("w") as table:
        for line in report(parsed.algorithms or list(WRITERS), parsed.folds, parsed.device):
            print(line, flush=True)
            print(line, file=table, flush=True)


if __name__ == "__main__":
    main()
