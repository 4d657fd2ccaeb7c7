from pathlib import Path

import pytest
import torch
from torch import nn

from common.demo.checkpoints import compact, save_nnunet_v1, save_nnunet_v2
from common.export.checkpoints.safe_pickle import load
from common.export.checkpoints.v1.checkpoint import read_weights
from common.export.checkpoints.v2.checkpoint import read_checkpoint


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.Conv3d(4, 2, 1))


def test_a_checkpoint_is_read_as_nnunet_v2s(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "fold_0" / "checkpoint_final.pth"
    save_nnunet_v2(
        network,
        path,
        plans={"plans_name": "p"},
        dataset={"labels": {}},
        configuration="3d_fullres",
        trainer="nnUNetTrainer",
        mirror_axes=(2,),
        epochs=7,
    )
    checkpoint = read_checkpoint(path)
    assert checkpoint.configuration == "3d_fullres"
    assert checkpoint.mirror_axes == (2,)
    for name, tensor in network.state_dict().items():
        assert torch.equal(checkpoint.weights[name], tensor)


def test_a_checkpoint_is_read_as_nnunet_v1s(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "fold_0" / "model_final_checkpoint.model"
    save_nnunet_v1(network, path, plans={"num_stages": 1}, trainer="nnUNetTrainerV2", epochs=7)
    weights = read_weights(path)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(weights[name].to(tensor.dtype), tensor, rtol=1e-3, atol=0)
    companion = load(path.with_name("model_final_checkpoint.model.pkl"))
    assert isinstance(companion, dict)
    assert (companion["name"], companion["plans"]) == ("nnUNetTrainerV2", {"num_stages": 1})


def test_tensors_of_zeros_take_no_space(tmp_path: Path) -> None:
    weights = {"zeros": torch.zeros(1000, 1000), "counts": torch.arange(3), "ones": torch.ones(3)}
    compacted = compact(weights)
    torch.save(compacted, tmp_path / "weights.pth")
    assert (tmp_path / "weights.pth").stat().st_size < 10_000
    assert torch.equal(compacted["zeros"], weights["zeros"])
    assert torch.equal(compacted["counts"], weights["counts"])
    assert compacted["ones"].dtype == torch.float16
