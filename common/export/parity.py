"""How far the exported network's logits are from the trained network's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from common.errors import MachineError, ModelError
from common.inference.engines.ladder import make_engine
from common.model_folder import Parity

TOLERANCE = 1e-3
"""Largest difference allowed, as a share of the logits' standard deviation."""
SEED = 0
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory")


def measure_parity(network: torch.nn.Module, path: Path, tile_shape: Sequence[int]) -> Parity:
    """Compare torch with ONNX Runtime's CPU provider on a random tile and on the mirrored one.

    `tile_shape` is (C, [Z,] Y, X); mirroring is along every spatial axis. Raises `ModelError` for a
    difference above `TOLERANCE`, `MachineError` when memory runs out.
    """
    tile = np.random.default_rng(SEED).standard_normal((1, *tile_shape), np.float32)
    tiles = (tile, np.ascontiguousarray(np.flip(tile, axis=tuple(range(2, tile.ndim)))))
    with _enough_memory_for(path), torch.inference_mode():
        expected = np.stack([network(torch.from_numpy(tile)).numpy() for tile in tiles])
    engine = make_engine(path, engine="cpu")
    found = np.stack([engine.run(tile) for tile in tiles])
    parity = Parity(max_difference=float(np.abs(found - expected).max()), spread=float(expected.std()))
    if not parity.max_difference <= TOLERANCE * parity.spread:
        raise ModelError(
            f"{path.name}: ONNX Runtime's logits differ from torch's by {parity.max_difference:.2e}, "
            f"expected at most {TOLERANCE:g} of their spread {parity.spread:.2e}; are all weights finite?"
        )
    return parity


@contextmanager
def _enough_memory_for(path: Path) -> Iterator[None]:
    """Raise `MachineError` for an allocation that failed in torch, which is a `RuntimeError` there."""
    try:
        yield
    except RuntimeError as error:
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        raise MachineError(
            f"{path.name}: not enough memory for one tile in torch; use a machine that has more"
        ) from error
