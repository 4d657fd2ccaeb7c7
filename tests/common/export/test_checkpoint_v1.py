from pathlib import Path

import pytest
import torch

from common.errors import ModelError
from common.export.checkpoint_v1 import read_weights, source_sha256
from common.model_folder import sha256_of_all


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


def test_the_hash_of_the_source_covers_plans_that_lie_elsewhere(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"weights")
    plans = tmp_path / "elsewhere/plans.json"
    plans.parent.mkdir()
    plans.write_text("{}")
    before = source_sha256(tmp_path, plans, [path])
    assert source_sha256(tmp_path, plans, [path]) == before
    plans.write_text("{ }")
    assert source_sha256(tmp_path, plans, [path]) != before


def test_the_hash_of_the_source_is_that_of_all_files_where_the_plans_lie_with_them(
    path: Path, tmp_path: Path
) -> None:
    path.write_bytes(b"weights")
    plans = tmp_path / "plans.pkl"
    plans.write_bytes(b"plans")
    assert source_sha256(tmp_path, plans, [path]) == sha256_of_all(tmp_path, [plans, path])
