"""Memory and time of a whole run but for its network, which hands two channels through.

python benchmarks/memory.py [--limit GIB] [Z Y X SPACING_Z SPACING_Y SPACING_X]

Without a shape: the three that have bounds, at the spacing of the plans and at two others. Each is a process
of its own, from the case's files to the written mask. With a limit, it is the process's data segment's, as
on the platform.
"""

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import SimpleITK

from benchmarks.clinical import SPACING
from benchmarks.overhead import first_two_channels
from benchmarks.scenario import FOLDER, PATCH
from common.inference.network import Fold, Network, Parity
from common.memory import GIB
from common.model.model import Model
from common.model.writing import write_model
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Statistics
from containers.autopet_interactive.prompts import ClickSettings

BOUNDS = {(326, 400, 400): 1.0, (1000, 400, 400): 2.4, (1000, 512, 512): 3.6}
"""GiB at most, by shape (z, y, x)."""
SCALES = (1.0, 0.7, 1.2)
"""Spacing of the image, in those of the plans."""
TILE_MEMORY = 50 * 2**20


def write_small_model(folder: Path) -> None:
    """A model folder of autoPET-interactive, whose network takes next to no memory."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ct = ChannelSpec("CT", "ct", False, Statistics(0, 300, -1000, 1000))
    pet = ChannelSpec("PET", "z_score", False)
    plans = Plans(2, PATCH, SPACING, (0, 1, 2), (ct, pet), Resampling(3), Resampling(1))
    path = folder / "fold_0.onnx"
    onnx.save(first_two_channels(), path)
    channels = ("CT", "PET", "tumor clicks", "background clicks")
    fold = Fold("0", path, Parity(0, 1))
    network = Network("segmentation", channels, PATCH, 2, (), (fold,), TILE_MEMORY, plans)
    write_model(
        folder, Model("autopet_interactive", (network,), "none", asdict(ClickSettings(2, "distance")))
    )


def write_case(folder: Path, shape: Sequence[int], spacing: Sequence[float]) -> None:
    """Noise of that shape (z, y, x) as CT and PET, uncompressed."""
    random = np.random.default_rng(0)
    slices = random.integers(1, 1000, (8, *shape[1:]), np.int16)
    for shift, name in enumerate(("ct", "pet")):
        image = SimpleITK.GetImageFromArray(np.resize(np.roll(slices, shift), shape))
        image.SetSpacing([float(size) for size in reversed(spacing)])
        path = folder / "images" / name / "case.mha"
        path.parent.mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(image, path, useCompression=False)


def run(
    folder: Path,
    shape: Sequence[int],
    spacing: Sequence[float],
    limit: float | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, float | str]:
    """Seconds, GiB: the peak, and what the run itself expected and found; or its error."""
    case, output, model = (folder / name for name in ("input", "output", "model"))
    shutil.rmtree(output, ignore_errors=True)
    write_case(case, shape, spacing)

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (int(limit * GIB),) * 2)

    command = [sys.executable, "-m", "common.cli.main", "run", "autopet_interactive", "--engine", "cpu"]
    folders = [
        "--input",
        case,
        "--output",
        output,
        "--model",
        model,
        "--mirroring",
        "none",
        "--time-limit",
        "none",
    ]
    ended = subprocess.run(
        [*command, *map(str, folders), *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bound,
    )
    if ended.returncode:
        return {"error": ended.stderr.strip().splitlines()[-1]}
    found = re.search(r"done: ([\d.]+) s, peak memory (\d+) MiB", ended.stdout)
    assert found
    (needs,) = re.findall(r"of this case needs about ([\d.]+) GiB of memory, ([\d.]+) GiB", ended.stdout)
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(next((output / "images").glob("*/*.mha"))))
    return {
        "seconds": float(found[1]),
        "peak": int(found[2]) / 1024,
        "expected": int(re.findall(r"expected peak memory: (\d+) MiB", ended.stdout)[-1]) / 1024,
        "needed": float(needs[0]),
        "free": float(needs[1]),
        "bands": len(set(re.findall(r"band (\d+) of", ended.stdout))),
        "mask": sha256(mask.tobytes()).hexdigest()[:8] if mask.any() else "empty",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float)
    parser.add_argument("case", nargs="*", type=float)
    arguments = parser.parse_args()
    folder = FOLDER / "memory"
    write_small_model(folder / "model")
    if arguments.case:
        shape, spacing = [int(size) for size in arguments.case[:3]], arguments.case[3:]
        print(json.dumps(run(folder, shape, spacing, arguments.limit)))
        return
    for bounded, bound in BOUNDS.items():
        for scale in SCALES:
            shape, spacing = list(bounded), [size * scale for size in SPACING]
            print(
                shape,
                f"spacing x{scale}",
                f"bound {bound}",
                run(folder, shape, spacing, arguments.limit),
                flush=True,
            )


if __name__ == "__main__":
    main()
