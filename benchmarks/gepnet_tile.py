"""One tile of 128×128×128 voxels through GEPNet: torch with the reference operator, and the engines.

python benchmarks/gepnet_tile.py
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.paired import main
from benchmarks.scenario import FOLDER
from common.demo.training import seeded
from common.export.onnx import write as onnx_file
from common.export.onnx.deform_conv3d import grid_sample
from common.export.onnx.deform_conv3d.gather import gather
from common.inference.engines import EngineName, Precision
from common.inference.engines.ladder import make_engine
from containers.gepnet.export.network import GEPNet, on_voxel_pairs

TILE = (1, 128, 128, 128)
GATHER, UNPAIRED, GRID_SAMPLE = (
    FOLDER / f"gepnet_{way}.onnx" for way in ("gather", "unpaired", "grid_sample")
)

Logits = NDArray[np.float32]


def network() -> GEPNet:
    return seeded(GEPNet, 0).eval()


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    paired = on_voxel_pairs(network())
    onnx_file.write_onnx(paired, GATHER, TILE, gather)
    onnx_file.write_onnx(network(), UNPAIRED, TILE, gather)
    onnx_file.write_onnx(paired, GRID_SAMPLE, TILE, grid_sample.grid_sample, grid_sample.OPSET)


def tiles() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((1, *TILE), np.float32)


def by_torch() -> Callable[[], Logits]:
    reference = network()

    def work() -> Logits:
        with torch.inference_mode():
            logits: Logits = reference(torch.from_numpy(tiles())).numpy()
        return logits

    return warm(work)


def by_engine(path: Path, name: EngineName, precision: Precision = "float32") -> Callable[[], Logits]:
    engine = make_engine(path, engine=name, precision=precision)
    return warm(lambda: engine.run(tiles()))


def warm(work: Callable[[], Logits]) -> Callable[[], Logits]:
    """Tiles come by the hundred: the first, on which memory is laid out, does not count."""
    work()
    return work


if __name__ == "__main__":
    subjects = {
        "torch": by_torch,
        "petct": lambda: by_engine(GATHER, "auto"),
        "petct bfloat16": lambda: by_engine(GATHER, "auto", "bfloat16"),
        "petct without pairs": lambda: by_engine(UNPAIRED, "auto"),
        "cpu, gather": lambda: by_engine(GATHER, "cpu"),
        "cpu, GridSample": lambda: by_engine(GRID_SAMPLE, "cpu"),
    }
    main(__doc__, subjects, baseline="torch", runs=3, prepare=write)
