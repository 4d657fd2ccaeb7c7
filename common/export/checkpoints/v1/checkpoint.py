"""The checkpoints that nnU-Net v1 and nnFormer leave: `fold_*/model_final_checkpoint.model`."""

from pathlib import Path

import torch

from common.errors import ModelError
from common.export.checkpoints.safe_load import load_safely
from common.export.checkpoints.weights import require_plain

CHECKPOINT_FILE = "model_final_checkpoint.model"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """One fold's weights under the names that the bare network gives them, read without running anything.

    The optimiser's state is left out. Raises `ModelError` for a file that `load_safely` refuses, or that
    holds no weights.
    """
    document = load_safely(path)
    weights = document.get("state_dict") if isinstance(document, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(tensor, torch.Tensor) for tensor in weights.values()
    ):
        raise ModelError(f"{path}: found no state_dict of tensors, expected a checkpoint of nnU-Net v1")
    require_plain(weights, path)
    return {str(name).removeprefix("module."): tensor for name, tensor in weights.items()}
