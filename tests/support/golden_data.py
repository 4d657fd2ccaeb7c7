"""The golden cases' files, and the weights that their layouts stand for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.golden import synth

GOLDEN = Path(__file__).parents[1] / "golden"


def document(path: str) -> Any:
    """A JSON file of the golden folder."""
    return json.loads((GOLDEN / path).read_text())


def expected(case: str) -> dict[str, NDArray[Any]]:
    """What the original gave for a case."""
    with np.load(GOLDEN / case / "expected.npz") as arrays:
        return dict(arrays)


def weights(layout: str, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a layout file, each drawn from its name behind the prefix."""
    return {
        name: torch.from_numpy(np.asarray(synth.tensor(prefix + name, tuple(shape))))
        for name, shape in document(layout).items()
    }
