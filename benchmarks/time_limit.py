"""How good a demo's mask is when the time limit leaves out a part: Dice against the share of runs.

python benchmarks/time_limit.py --plot docs/time_limit.svg [ALGORITHM …]

Time is counted in runs of the 3D network, so that the speed of the machine and its load do not matter. The
phantoms are those of the demos' tests, which no training has seen.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from common import algorithms
from common.case import Case
from common.demo.phantom.phantom import Phantom, make_phantom
from common.errors import MachineError
from common.evaluation.metrics import compare
from common.inference.engines.contract import Array
from common.inference.engines.ladder import TriedEngine
from common.inference.options import Options
from common.inference.schedule import TIME_RESERVE
from common.model.model import Model
from common.model.reading import read_model
from containers.nnunet.demo.subjects import LESION, labelled_phantoms

SEEDS = (1000, 1001, 1002)
SHAPE = (240, 96, 64)
"""A patient without the outer halves of the arms, (z, y, x)."""
SHARES = (0.03, 0.05, 0.08, 0.1, 0.125, 0.16, 0.2, 0.25, 0.35, 0.5, 0.7, 0.85, 1.0)
IMAGES = {"gepnet": ("pet",)}
"""The images that a model takes, where that is not both."""
VOLUME = 4
"""Axes of a tile of a 3D network, its channels included."""


class RunClock:
    """A clock that stands still but for runs of 3D networks, each of which takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Put it in the place of `time.monotonic`."""
        stream = TriedEngine.stream

        def counted(engine: TriedEngine, tiles: Iterable[Array]) -> Iterator[Array]:
            for logits in stream(engine, tiles):
                self.now += logits.ndim == VOLUME
                yield logits

        with patch.object(TriedEngine, "stream", counted), patch("time.monotonic", self):
            yield


def phantoms(algorithm: str) -> Iterator[tuple[Phantom, NDArray[np.bool_]]]:
    """Patients, and where their lesions are."""
    if algorithm == "nnunet":
        for labelled in labelled_phantoms(SEEDS[0], len(SEEDS)):
            yield labelled.phantom, labelled.labels == LESION
    else:
        for seed in SEEDS:
            phantom = make_phantom(seed, SHAPE, lesions=8, inflammations=0)
            yield phantom, phantom.truth != 0


def dice_of(
    algorithm: str, model: Model, phantom: Phantom, truth: NDArray[np.bool_], limit: float
) -> tuple[float, float]:
    """Dice, and the runs that it took; `limit` is in runs."""
    images = {"ct": phantom.ct.copy(), "pet": phantom.pet.copy()}
    images = {name: images[name] for name in IMAGES.get(algorithm, images)}
    case = Case(images, phantom.geometry, "phantom")
    clock = RunClock()
    with clock.ticking():
        mask = algorithms.segmenter(algorithm).segment(
            case, model, Options(deadline=limit / (1 - TIME_RESERVE))
        )
    return compare(truth, mask == 1, phantom.geometry.voxel_volume_ml).dice, clock.now


def curve(algorithm: str) -> list[tuple[float, float]]:
    """Share of the runs, and the mean Dice of the patients."""
    points = []
    with tempfile.TemporaryDirectory() as folder:
        algorithms.exporter(algorithm).export(
            algorithms.FOLDER / algorithm / "demo" / "checkpoint", Path(folder) / "model"
        )
        model = read_model(Path(folder) / "model", algorithm)
        patients = list(phantoms(algorithm))
        everything = [dice_of(algorithm, model, *patient, limit=1e9) for patient in patients]
        for share in SHARES[:-1]:
            try:
                parts = [
                    dice_of(algorithm, model, *patient, limit=share * runs)
                    for patient, (_, runs) in zip(patients, everything, strict=True)
                ]
            except MachineError as error:
                print(f"{algorithm:22}{share:8.1%}  {error}")
                continue
            done = float(
                np.mean([runs / whole for (_, runs), (_, whole) in zip(parts, everything, strict=True)])
            )
            points.append((done, float(np.mean([dice for dice, _ in parts]))))
            print(f"{algorithm:22}{done:8.1%}{points[-1][1]:8.3f}", flush=True)
    points.append((1.0, float(np.mean([dice for dice, _ in everything]))))
    print(f"{algorithm:22}{1:8.1%}{points[-1][1]:8.3f}", flush=True)
    return points


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Write the picture."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for algorithm, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=algorithm)
    axes.axvline(1 / 8, color="grey", linewidth=0.8, linestyle=":")
    axes.text(1 / 8, 0.02, " one pass", color="grey", transform=axes.get_xaxis_transform())
    axes.set(xlabel="share of the network's runs", ylabel="Dice, mean of three patients", ylim=(0, 1))
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", default=algorithms.names())
    parser.add_argument("--plot", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    start = time.monotonic()
    curves = {algorithm: curve(algorithm) for algorithm in arguments.algorithms}
    print(f"{time.monotonic() - start:.0f} s")
    if arguments.plot:
        draw(curves, arguments.plot)


if __name__ == "__main__":
    main()
