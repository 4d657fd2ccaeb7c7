"""Run one full tile on the default CPU engine in a separate process, to measure its memory.

`python -m common.export.onnx.measure FILE.onnx C Z Y X` prints the bytes and whether all logits are finite.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import MachineError, ModelError
from common.inference.engines.ladder import make_cpu_engine
from common.memory import peak_memory, present_memory


def tile_memory(path: Path, tile_shape: Sequence[int]) -> int:
    """Return the bytes needed to load a network and run one tile (C, [Z,] Y, X) on the default CPU engine.

    Raises `MachineError` if the run fails, usually because memory is too small, and `ModelError` if the
    logits are not finite.
    """
    command = [sys.executable, "-m", "common.export.onnx.measure", str(path), *map(str, tile_shape)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise MachineError(
            f"{path.name}: a tile of shape {tuple(tile_shape)} fails in a process of its own with status "
            f"{process.returncode} ({reason}); give the machine more memory"
        )
    measured = json.loads(process.stdout)
    if not measured["finite"]:
        raise ModelError(
            f"{path.name}: the logits of a tile of shape {tuple(tile_shape)} are not finite; check that "
            "all of the checkpoint's weights are"
        )
    return int(measured["bytes"])


def run_once(path: Path, tile_shape: Sequence[int]) -> dict[str, int | bool]:
    """Run one random tile; return its peak memory in bytes, and whether the logits are finite."""
    tile = np.random.default_rng(0).standard_normal((1, *tile_shape), np.float32)
    before = present_memory()
    logits = make_cpu_engine(path).run(tile)
    return {"bytes": peak_memory() - before, "finite": bool(np.isfinite(logits.sum()))}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_once(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])))
