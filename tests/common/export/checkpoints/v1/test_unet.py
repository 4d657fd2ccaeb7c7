import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.v1.plans import PLANS_FILE, read_network_plan
from common.export.checkpoints.v1.unet import GenericUNet, load_unet
from tests.support import golden_data

NETWORK_PLAN = read_network_plan(golden_data.GOLDEN / "nnunet_v1" / "model" / PLANS_FILE)

Write = Callable[..., Path]


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return golden_data.weights("nnunet_v1/layout.json", "fold_0/")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Write:
    def write(weights: Any, **more: Any) -> Path:
        path = tmp_path / "model_final_checkpoint.model"
        torch.save({"epoch": 1000, "state_dict": weights, "lr_scheduler_state_dict": None, **more}, path)
        return path

    return write


def test_every_tensor_but_deep_supervisions_heads_is_loaded(
    weights: dict[str, torch.Tensor], checkpoint: Write
) -> None:
    network = load_unet(NETWORK_PLAN, checkpoint(weights))
    loaded = network.state_dict()
    assert weights.keys() - loaded.keys() == {"seg_outputs.0.weight", "seg_outputs.1.weight"}
    for name, tensor in loaded.items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)
    assert not network.training


def test_what_training_saved_besides_the_weights_is_ignored(
    weights: dict[str, torch.Tensor], checkpoint: Write
) -> None:
    parameters = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in weights.items()}
    optimiser = torch.optim.SGD(parameters.values(), 0.01, momentum=0.99, nesterov=True)
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    losses: tuple[list[Any], ...] = [np.float64(0.5)], [np.float32(0.25)], [], [[0.5]]
    path = checkpoint(
        weights,
        optimizer_state_dict=optimiser.state_dict(),
        plot_stuff=losses,
        best_stuff=(np.float64(-0.5), 12, np.float64(0.8)),
        amp_grad_scaler=torch.amp.GradScaler("cpu").state_dict(),
    )
    tile = torch.ones(1, 2, 8, 16, 16)
    with torch.inference_mode():
        logits = load_unet(NETWORK_PLAN, path)(tile)
    assert logits.shape == (1, 2, 8, 16, 16)
    assert torch.isfinite(logits).all()


def test_weights_of_a_parallel_training_are_loaded(
    weights: dict[str, torch.Tensor], checkpoint: Write
) -> None:
    parallel = {f"module.{name}": tensor for name, tensor in weights.items()}
    assert "tu.0.weight" in load_unet(NETWORK_PLAN, checkpoint(parallel)).state_dict()


def test_features_double_up_to_320() -> None:
    network_plan = replace(NETWORK_PLAN, base_features=32, strides=((2, 2, 2),) * 5, kernels=((3, 3, 3),) * 6)
    with torch.device("meta"):
        network = GenericUNet(network_plan)
    outputs = [
        tensor.shape[0]
        for name, tensor in network.named_parameters()
        if "context" in name and "conv.w" in name
    ]
    assert outputs == [32, 32, 64, 64, 128, 128, 256, 256, 320, 320, 320, 320]


def test_a_flat_kernel_serves_its_stage_downwards_and_one_step_later_upwards() -> None:
    network_plan = replace(NETWORK_PLAN, convolutions=3, kernels=((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)))
    with torch.device("meta"):
        network = GenericUNet(network_plan)
    shapes = {name: tuple(tensor.shape[2:]) for name, tensor in network.named_parameters()}
    assert shapes["conv_blocks_context.1.blocks.2.conv.weight"] == (1, 3, 3)
    assert shapes["conv_blocks_localization.1.0.blocks.1.conv.weight"] == (3, 3, 3)
    assert shapes["conv_blocks_localization.2.1.blocks.0.conv.weight"] == (1, 3, 3)


def test_a_missing_and_a_surplus_tensor_are_named(
    weights: dict[str, torch.Tensor], checkpoint: Write
) -> None:
    weights["tu.9.weight"] = weights.pop("tu.1.weight")
    with pytest.raises(ModelError, match=r"missing: tu\.1\.weight; surplus: tu\.9\.weight"):
        load_unet(NETWORK_PLAN, checkpoint(weights))


@pytest.mark.parametrize("content", [None, [], {"tu.0.weight": 1.0}])
def test_a_checkpoint_of_something_else_is_refused(checkpoint: Write, content: Any) -> None:
    with pytest.raises(ModelError, match="no state_dict of tensors"):
        load_unet(NETWORK_PLAN, checkpoint(content))


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, checkpoint: Write) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path}/ran",)

    with pytest.raises(ModelError, match="system"):
        load_unet(NETWORK_PLAN, checkpoint({}, init=Hostile()))
    assert not (tmp_path / "ran").exists()
