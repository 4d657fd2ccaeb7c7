from pathlib import Path

import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.v1.checkpoint import read_weights


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model_final_checkpoint.model"


def test_names_lose_the_prefix_that_data_parallel_training_adds(path: Path) -> None:
    torch.save(
        {"epoch": 3, "state_dict": {"module.a.weight": torch.ones(2)}, "optimizer_state_dict": {}}, path
    )
    assert list(read_weights(path)) == ["a.weight"]


@pytest.mark.parametrize(
    "document", [[1, 2], {"epoch": 3}, {"state_dict": {"a.weight": 1}}, {"state_dict": 5}]
)
def test_a_file_without_weights_is_refused(path: Path, document: object) -> None:
    torch.save(document, path)
    with pytest.raises(ModelError, match="found no state_dict of tensors"):
        read_weights(path)
