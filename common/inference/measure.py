"""Memory that one tile takes, measured in a process of its own.

`python -m common.inference.measure FILE.onnx C Z Y X` prints it in bytes.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import MachineError
from common.inference.engines.ladder import make_cpu_engine
from common.memory import peak_memory, present_memory


def tile_memory(path: Path, tile_shape: Sequence[int]) -> int:
    """Bytes that loading a network and running one tile (C, [Z,] Y, X) takes with the default CPU engine.

    Raises `MachineError` where the run fails, mostly for want of memory.
    """
    command = [sys.executable, "-m", "common.inference.measure", str(path), *map(str, tile_shape)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise MachineError(
            f"{path.name}: a tile of shape {tuple(tile_shape)} fails in a process of its own with status "
            f"{process.returncode} ({reason}); give the machine more memory"
        )
    return int(process.stdout)


def run_once(path: Path, tile_shape: Sequence[int]) -> int:
    """Bytes by which this process's memory peaks above its present size while it loads and runs."""
    before = present_memory()
    make_cpu_engine(path).run(np.ones((1, *tile_shape), np.float32))
    return peak_memory() - before


if __name__ == "__main__":
    sys.stdout.write(f"{run_once(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])}\n")
